/* load_order - reads what a load is to do, and makes its requests (see load_order.h). */
#include "load_order.h"

#include "net.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define CONNECTIONS_MAX 20000
#define HEAD_BYTES_MAX	4096

const char load_order_options[] = "  --connections COUNT  at the same time (64)\n"
				  "  --seconds TIME       how long requests are begun\n"
				  "  --milliseconds TIME  the same\n"
				  "  --requests COUNT     how many; this or a time is needed\n"
				  "  --rate COUNT         requests a second, at even intervals\n"
				  "  --path PATH          what is asked for (/)\n"
				  "  --paths COUNT        PATH followed by 0, 1, 2... in turn, so many\n"
				  "  --body BYTES         POST that many instead of GET\n"
				  "  --browser            header fields as a browser sends them\n"
				  "  --new-connections    a connection for each request\n"
				  "  --awake              look for answers without ever sleeping\n";

/* What a browser says of itself, with the cookies of a shop. */
static const char browser_fields[] =
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Referer: https://shop.example.com/catalogue/shoes?size=42&colour=black\r\n"
	"DNT: 1\r\n"
	"Connection: keep-alive\r\n"
	"Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; "
	"_ga=GA1.2.1084398572.1667301002; _gid=GA1.2.913470264.1669046400; consent=yes\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"Sec-Fetch-Dest: document\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"Sec-Fetch-Site: same-origin\r\n"
	"Sec-Fetch-User: ?1\r\n";

static struct message make_request(const struct load_order *order, const char *path)
{
	char head[HEAD_BYTES_MAX], length[128] = "";
	if (order->body_bytes > 0)
		snprintf(length, sizeof(length),
			"Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n",
			(unsigned long long)order->body_bytes);
	int bytes = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n",
		order->body_bytes > 0 ? "POST" : "GET", path, order->target,
		order->is_browser ? browser_fields : "User-Agent: bench_load\r\n",
		order->is_new_connections ? "Connection: close\r\n" : "", length);
	if (bytes >= (int)sizeof(head))
		net_fail("the path is too long");
	return message_make(head, (size_t)bytes, order->body_bytes);
}

static void make_requests(struct load_order *order)
{
	char path[HEAD_BYTES_MAX];
	order->request_kinds = order->path_count > 0 ? order->path_count : 1;
	for (size_t i = 0; i < order->request_kinds; i++) {
		int bytes = order->path_count > 0 ? snprintf(path, sizeof(path), "%s%zu", order->path, i)
						  : snprintf(path, sizeof(path), "%s", order->path);
		if (bytes >= (int)sizeof(path))
			net_fail("the path is too long");
		order->requests[i] = make_request(order, path);
	}
}

/* False: it is none of the options of an order. */
static bool take_option(struct load_order *order, int option)
{
	if (option == 'c')
		order->connection_count = net_number(optarg, "--connections", 1, CONNECTIONS_MAX);
	else if (option == 's')
		order->milliseconds = 1000 * net_number(optarg, "--seconds", 1, 86400);
	else if (option == 'm')
		order->milliseconds = net_number(optarg, "--milliseconds", 1, 86400000);
	else if (option == 'n')
		order->request_count = net_number(optarg, "--requests", 1, UINT64_MAX - 1);
	else if (option == 'r')
		order->rate = net_number(optarg, "--rate", 1, 10000000);
	else if (option == 'p')
		order->path = optarg;
	else if (option == 't')
		order->path_count = net_number(optarg, "--paths", 1, LOAD_PATHS_MAX);
	else if (option == 'b')
		order->body_bytes = net_number(optarg, "--body", 1, UINT64_C(1) << 40);
	else if (option == 'w')
		order->is_browser = true;
	else if (option == 'x')
		order->is_new_connections = true;
	else if (option == 'a')
		order->is_awake = true;
	else
		return false;
	return true;
}

int load_order_read(struct load_order *order, int count, char **arguments)
{
	static const struct option options[] = {{"connections", required_argument, NULL, 'c'},
		{"seconds", required_argument, NULL, 's'}, {"milliseconds", required_argument, NULL, 'm'},
		{"requests", required_argument, NULL, 'n'}, {"rate", required_argument, NULL, 'r'},
		{"path", required_argument, NULL, 'p'}, {"paths", required_argument, NULL, 't'},
		{"body", required_argument, NULL, 'b'}, {"browser", no_argument, NULL, 'w'},
		{"new-connections", no_argument, NULL, 'x'}, {"awake", no_argument, NULL, 'a'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int option;
	*order = (struct load_order){.connection_count = 64, .request_count = UINT64_MAX, .path = "/"};
	optind = 0; /* each order is read from its beginning */
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
		if (!take_option(order, option))
			return option == 'h' ? -1 : EX_USAGE;
	if (optind == count || count - optind > LOAD_TARGETS_MAX ||
		(order->milliseconds == 0 && order->request_count == UINT64_MAX))
		return EX_USAGE;
	order->target = arguments[optind];
	for (int i = optind; i < count; i++)
		order->addresses[order->address_count++] = net_address(arguments[i]);
	make_requests(order);
	return 0;
}

void load_order_free(struct load_order *order)
{
	for (size_t i = 0; i < order->request_kinds; i++)
		free(order->requests[i].bytes);
	order->request_kinds = 0;
}
