/* backend - bench_backend: the backends of a proxy, and if wanted the load as well, on one thread. Owns the
 * server and the load that is under way. */
#include "load.h"
#include "server.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define ORDER_BYTES_MAX 4096
#define ORDER_WORDS_MAX 64

/* Loads to be run, one after the other, each a line of what bench_load would be told. */
struct orders {
	struct loop_source source;
	struct loop *loop;
	struct load *load; /* under way; NULL: none */
	struct load_order order;
	size_t held;
	char line[ORDER_BYTES_MAX];
};

struct backend {
	struct loop loop;
	struct server server;
	struct orders orders;
	struct loop_source signals;
};

static bool is_ended;

static void signals_handle(struct loop_source *source, uint32_t events)
{
	(void)source;
	(void)events;
	is_ended = true;
}

static void orders_begin(struct orders *orders)
{
	static char name[] = "bench_load";
	char *words[ORDER_WORDS_MAX + 1] = {name}, *rest = orders->line;
	int count = 1;
	while (count < ORDER_WORDS_MAX && (words[count] = strsep(&rest, " ")) != NULL)
		count++;
	errno = 0;
	if (load_order_read(&orders->order, count, words) != 0)
		net_fail("this is no load");
	orders->load = load_begin(&orders->order, orders->loop);
}

/* A line comes at a time: the next one when what this one orders is done. */
static void orders_handle(struct loop_source *source, uint32_t events)
{
	struct orders *orders = (struct orders *)source;
	ssize_t got = read(source->fd, orders->line + orders->held, ORDER_BYTES_MAX - orders->held);
	(void)events;
	if (got <= 0) {
		is_ended = true;
		return;
	}
	orders->held += (size_t)got;
	if (orders->line[orders->held - 1] == '\n') {
		orders->line[orders->held - 1] = '\0';
		orders->held = 0;
		errno = 0;
		if (orders->load != NULL)
			net_fail("there is a load under way");
		orders_begin(orders);
	} else if (orders->held == ORDER_BYTES_MAX) {
		errno = 0;
		net_fail("an order is longer than %d bytes", ORDER_BYTES_MAX);
	}
}

/* What the load has to do before each turn. Returns how long that may wait at most, in nanoseconds. */
static uint64_t orders_go_on(struct orders *orders)
{
	uint64_t wait_ns;
	if (orders->load == NULL)
		return LOOP_FOR_EVER;
	if (load_go_on(orders->load, &wait_ns))
		return wait_ns;
	load_end(orders->load);
	orders->load = NULL;
	load_order_free(&orders->order);
	return LOOP_FOR_EVER;
}

static void usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
		"Usage: bench_backend [OPTION]...\n"
		"Answer every HTTP request on 127.0.0.1 with 200 and as many bytes as its path says, "
		"/1048576.\n\n"
		"  --listeners COUNT  addresses to listen on (1)\n"
		"  --everywhere       each is a port of all of 127.0.0.0/8\n"
		"  --body BYTES       size of the body for other paths (120)\n"
		"  --delay-us TIME    microseconds between a request and its answer (0)\n"
		"  --loads            run a load for each line of standard input, which has these, and "
		"addresses:\n\n%s",
		load_order_options);
	exit(status);
}

/* Returns whether loads are to be run. */
static bool read_arguments(struct server *server, int count, char **arguments)
{
	static const struct option options[] = {{"listeners", required_argument, NULL, 'l'},
		{"body", required_argument, NULL, 'b'}, {"delay-us", required_argument, NULL, 'd'},
		{"everywhere", no_argument, NULL, 'e'}, {"loads", no_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'}, {0}};
	bool has_loads = false;
	int option;
	server->listener_count = 1;
	server->body_bytes = 120;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 'l')
			server->listener_count = net_number(optarg, "--listeners", 1, SERVER_LISTENERS_MAX);
		else if (option == 'e')
			server->is_everywhere = true;
		else if (option == 'b')
			server->body_bytes = net_number(optarg, "--body", 0, UINT64_C(1) << 40);
		else if (option == 'd')
			server->delay_ns = 1000 * net_number(optarg, "--delay-us", 0, 60000000);
		else if (option == 'o')
			has_loads = true;
		else
			usage(option == 'h' ? 0 : EX_USAGE);
	}
	if (optind != count)
		usage(EX_USAGE);
	return has_loads;
}

int main(int count, char **arguments)
{
	static struct backend backend;
	setvbuf(stdout, NULL, _IOLBF, 0);
	bool has_loads = read_arguments(&backend.server, count, arguments);
	net_raise_descriptor_limit();
	backend.loop = loop_open();
	backend.signals = (struct loop_source){.fd = net_signals(), .handle = signals_handle};
	loop_watch(&backend.loop, EPOLL_CTL_ADD, &backend.signals, EPOLLIN);
	backend.orders.loop = &backend.loop;
	backend.orders.source = (struct loop_source){.fd = STDIN_FILENO, .handle = orders_handle};
	if (has_loads)
		loop_watch(&backend.loop, EPOLL_CTL_ADD, &backend.orders.source, EPOLLIN);
	server_start(&backend.server, &backend.loop);
	puts("ready");
	while (!is_ended) {
		uint64_t server_wait_ns = server_answer_due(&backend.server);
		uint64_t load_wait_ns = orders_go_on(&backend.orders);
		loop_turn(&backend.loop, server_wait_ns < load_wait_ns ? server_wait_ns : load_wait_ns);
	}
	server_end(&backend.server);
	return 0;
}
