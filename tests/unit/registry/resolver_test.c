/* resolver_test - addresses at once, names by and by; one that fails is asked for again, one that hangs holds
 * up nobody. The name server is one of our own, on loopback. */
#include "registry/resolver.h"

#include "base/clock.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/dns.h>
#include <event2/dns_struct.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define WAIT_LIMIT_MS 60000

static struct event_base *base;
static struct resolver *resolver;
static int resolved_count;
static uint64_t refresh_ms = 30000;

static void on_resolved(void *arg)
{
	cr_assert_eq(arg, &resolved_count);
	resolved_count++;
}

static void start(void)
{
	base = event_base_new();
	cr_assert_not_null(base);
	resolver = resolver_new(base, refresh_ms, on_resolved, &resolved_count);
	cr_assert_not_null(resolver);
	resolved_count = 0;
}

static void finish(void)
{
	resolver_free(&resolver);
	cr_expect_null(resolver);
	event_base_free(base);
}

TestSuite(resolver, .init = start, .fini = finish);

static void parse(const char *text, struct srsd_address *address)
{
	cr_assert_eq(srsd_address_parse(text, strlen(text), address, NULL), SRSD_OK);
}

/* All addresses, with blanks between them. */
static bool find(const char *text, char *out, size_t size)
{
	struct srsd_address address;
	struct addresses found;
	size_t used = 0;
	parse(text, &address);
	if (resolver_find(resolver, &address, &found) != RESOLVER_FOUND)
		return false;
	for (uint32_t i = 0; i < found.count; i++) {
		char one[ADDRESS_TEXT_MAX];
		address_format(&found.list[i], one);
		used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? " " : "", one);
	}
	cr_assert_lt(used, size);
	return true;
}

/* A moment in which nothing is waited for. */
static void keep_only(const char *text)
{
	struct srsd_address address;
	resolver_keep_begin(resolver);
	if (text != NULL) {
		parse(text, &address);
		resolver_keep(resolver, &address);
	}
	resolver_keep_end(resolver);
}

/* Turn the loop until `*count` is `wanted`, or for `limit_ms`. */
static void wait_for(const int *count, int wanted, uint64_t limit_ms)
{
	const struct timeval step = {.tv_usec = 5000};
	uint64_t end_ms = clock_coarse_ms() + limit_ms;
	while (*count < wanted && clock_coarse_ms() < end_ms) {
		event_base_loopexit(base, &step);
		event_base_dispatch(base);
	}
}

Test(resolver, addresses_in_digits_are_found_at_once)
{
	char out[256];
	cr_assert(find("192.0.2.1:80", out, sizeof(out)));
	cr_expect_str_eq(out, "192.0.2.1:80");
	cr_assert(find("[2001:db8::1]:65535", out, sizeof(out)));
	cr_expect_str_eq(out, "[2001:db8::1]:65535");
	cr_expect_eq(resolved_count, 0);
}

Test(resolver, a_name_of_the_hosts_file_is_found_after_a_turn)
{
	char out[256];
	cr_expect_not(find("localhost:8080", out, sizeof(out)));
	cr_expect_eq(resolved_count, 0, "from the loop, not from inside the call");
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	cr_assert_eq(resolved_count, 1);
	cr_assert(find("localhost:8080", out, sizeof(out)));
	cr_expect(strstr(out, "127.0.0.1:8080") != NULL || strcmp(out, "[::1]:8080") == 0, "%s", out);
	cr_assert(find("localhost:99", out, sizeof(out)), "the same name with another port is known");
	cr_expect(strstr(out, "127.0.0.1:99") != NULL || strcmp(out, "[::1]:99") == 0, "%s", out);
	cr_expect_eq(resolved_count, 1);
}

Test(resolver, may_be_freed_with_a_look_up_not_yet_begun)
{
	char out[256];
	cr_expect_not(find("localhost:8080", out, sizeof(out)));
}

/* ---- With a name server of our own ------------------------------------------------------------------------
 *
 * The linker sends the resolver's evdns_base_new() here (--wrap): these tests put their name server in the
 * place of /etc/resolv.conf's, and shorten the patience with it.
 */

static struct {
	int fd;
	struct evdns_server_port *port;
	uint16_t port_number;
	int asked_known, asked_late, asked_silent, asked_never, asked_many,
		asked_crowd; /* for an IPv4 address */
	int late_refusals;
	bool is_gone;	  /* known.test does not exist any more */
	uint8_t known_at; /* known.test is 192.0.2.<that> */
} server;

struct evdns_base *__real_evdns_base_new(struct event_base *event_base, int flags);
struct evdns_base *__wrap_evdns_base_new(struct event_base *event_base, int flags);

struct evdns_base *__wrap_evdns_base_new(struct event_base *event_base, int flags)
{
	char address[32];
	if (server.port == NULL)
		return __real_evdns_base_new(event_base, flags);
	struct evdns_base *dns = __real_evdns_base_new(event_base, flags & EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	snprintf(address, sizeof(address), "127.0.0.1:%u", server.port_number);
	cr_assert(dns != NULL && evdns_base_nameserver_ip_add(dns, address) == 0);
	cr_assert_eq(evdns_base_set_option(dns, "timeout:", "0.2"), 0);
	cr_assert_eq(evdns_base_set_option(dns, "attempts:", "2"), 0);
	return dns;
}

static bool is_asked(const struct evdns_server_question *question, const char *name, int *count)
{
	if (strcasecmp(question->name, name) != 0) /* the case of letters is random, against forgers */
		return false;
	*count += question->type == EVDNS_TYPE_A;
	return true;
}

static void answer(struct evdns_server_request *request, const struct evdns_server_question *question)
{
	uint8_t address[] = {192, 0, 2, server.known_at};
	if (question->type == EVDNS_TYPE_A)
		cr_assert_eq(evdns_server_request_add_a_reply(request, question->name, 1, address, 60), 0);
	evdns_server_request_respond(request, DNS_ERR_NONE);
}

/* Two of each family. */
static void answer_many(struct evdns_server_request *request, const struct evdns_server_question *question)
{
	uint8_t ipv4[] = {192, 0, 2, 1, 192, 0, 2, 2};
	uint8_t ipv6[32] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1, [16] = 0x20, 0x01, 0x0d, 0xb8, [31] = 2};
	int fault = question->type == EVDNS_TYPE_A
			    ? evdns_server_request_add_a_reply(request, question->name, 2, ipv4, 60)
			    : evdns_server_request_add_aaaa_reply(request, question->name, 2, ipv6, 60);
	cr_assert_eq(fault, 0);
	evdns_server_request_respond(request, DNS_ERR_NONE);
}

/* More than are taken, in another order each time. */
static void answer_crowd(struct evdns_server_request *request, const struct evdns_server_question *question)
{
	uint8_t ipv4[4 * (ADDRESSES_MAX + 4)];
	for (size_t i = 0; i < sizeof(ipv4) / 4; i++) {
		uint8_t last = (uint8_t)((i + 3 * (size_t)server.asked_crowd) % (sizeof(ipv4) / 4));
		memcpy(ipv4 + 4 * i, (uint8_t[]){192, 0, 2, last}, 4);
	}
	if (question->type == EVDNS_TYPE_A)
		cr_assert_eq(
			evdns_server_request_add_a_reply(request, question->name, sizeof(ipv4) / 4, ipv4, 60),
			0);
	evdns_server_request_respond(request, DNS_ERR_NONE);
}

static void on_question(struct evdns_server_request *request, void *arg)
{
	const struct evdns_server_question *question = request->questions[0];
	(void)arg;
	if (is_asked(question, "silent.test", &server.asked_silent))
		evdns_server_request_drop(request);
	else if (is_asked(question, "known.test", &server.asked_known) && !server.is_gone)
		answer(request, question);
	else if (is_asked(question, "many.test", &server.asked_many))
		answer_many(request, question);
	else if (is_asked(question, "crowd.test", &server.asked_crowd))
		answer_crowd(request, question);
	else if (is_asked(question, "late.test", &server.asked_late) &&
		 server.asked_late > server.late_refusals)
		answer(request, question);
	else {
		(void)is_asked(question, "never.test", &server.asked_never);
		evdns_server_request_respond(request, DNS_ERR_NOTEXIST);
	}
}

static void start_with_server(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	refresh_ms = 100;
	start();
	server.known_at = 7;
	server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	cr_assert(server.fd >= 0 && bind(server.fd, (struct sockaddr *)&address, bytes) == 0 &&
		  getsockname(server.fd, (struct sockaddr *)&address, &bytes) == 0);
	server.port_number = ntohs(address.sin_port);
	server.port = evdns_add_server_port_with_base(base, server.fd, 0, on_question, NULL);
	cr_assert_not_null(server.port);
}

static void finish_with_server(void)
{
	resolver_free(&resolver);
	evdns_close_server_port(server.port);
	event_base_free(base);
	close(server.fd);
}

TestSuite(resolver_asks, .init = start_with_server, .fini = finish_with_server);

Test(resolver_asks, a_name_that_the_server_knows)
{
	char out[256];
	cr_expect_not(find("known.test:80", out, sizeof(out)));
	cr_expect_not(find("known.test:81", out, sizeof(out)), "one look-up serves both");
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	cr_assert(find("known.test:80", out, sizeof(out)));
	cr_expect_str_eq(out, "192.0.2.7:80");
	cr_assert(find("known.test:81", out, sizeof(out)));
	cr_expect_leq(server.asked_known, 2, "one look-up, and perhaps it was refreshed");
}

Test(resolver_asks, all_addresses_the_families_by_turns)
{
	char out[256];
	cr_expect_not(find("many.test:80", out, sizeof(out)));
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	cr_assert(find("many.test:80", out, sizeof(out)));
	cr_expect_str_eq(out, "[2001:db8::1]:80 192.0.2.1:80 [2001:db8::2]:80 192.0.2.2:80");
	wait_for(&server.asked_many, 4, WAIT_LIMIT_MS);
	cr_expect_eq(resolved_count, 1, "nothing new, nothing said");
}

Test(resolver_asks, of_too_many_addresses_the_same_are_taken)
{
	char out[512];
	cr_expect_not(find("crowd.test:80", out, sizeof(out)));
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	cr_assert(find("crowd.test:80", out, sizeof(out)));
	wait_for(&server.asked_crowd, 6, WAIT_LIMIT_MS);
	cr_expect_eq(resolved_count, 1, "nothing new, nothing said");
}

Test(resolver_asks, an_answer_that_changes_is_told)
{
	char out[256];
	cr_expect_not(find("known.test:80", out, sizeof(out)));
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	server.known_at = 8;
	wait_for(&resolved_count, 2, WAIT_LIMIT_MS);
	cr_assert(find("known.test:80", out, sizeof(out)));
	cr_expect_str_eq(out, "192.0.2.8:80");
}

Test(resolver_asks, a_name_that_goes_keeps_its_addresses_until_it_has_others)
{
	char out[256];
	cr_expect_not(find("known.test:80", out, sizeof(out)));
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	server.is_gone = true;
	int asked = server.asked_known;
	wait_for(&server.asked_known, asked + 2, WAIT_LIMIT_MS);
	cr_assert(find("known.test:80", out, sizeof(out)));
	cr_expect_str_eq(out, "192.0.2.7:80");
	server.known_at = 9;
	server.is_gone = false;
	wait_for(&resolved_count, 2, WAIT_LIMIT_MS);
	cr_assert(find("known.test:80", out, sizeof(out)));
	cr_expect_str_eq(out, "192.0.2.9:80");
}

Test(resolver_asks, a_name_that_nobody_uses_is_asked_for_no_more)
{
	char out[256];
	int never = 0;
	cr_expect_not(find("known.test:80", out, sizeof(out)));
	cr_expect_not(find("many.test:80", out, sizeof(out)));
	cr_expect_not(find("silent.test:80", out, sizeof(out)));
	wait_for(&server.asked_known, 2, WAIT_LIMIT_MS);
	wait_for(&server.asked_silent, 1, WAIT_LIMIT_MS);
	keep_only("many.test:80");
	cr_expect(resolver_has_names(resolver));
	wait_for(&never, 1, 50); /* what is under way */
	int asked = server.asked_known;
	int silent = server.asked_silent;
	int many = server.asked_many;
	wait_for(&server.asked_many, many + 5, WAIT_LIMIT_MS);
	cr_expect_eq(server.asked_known, asked);
	cr_expect_leq(server.asked_silent, silent + 1);
	cr_expect_geq(server.asked_many, many + 5);
	keep_only(NULL);
	cr_expect_not(resolver_has_names(resolver));
	cr_expect_not(find("known.test:80", out, sizeof(out)), "forgotten");
}

Test(resolver_asks, a_name_that_is_unknown_at_first_is_asked_for_again)
{
	char out[256];
	server.late_refusals = 1;
	cr_expect_not(find("late.test:80", out, sizeof(out)));
	wait_for(&server.asked_late, 1, WAIT_LIMIT_MS);
	cr_expect_not(find("late.test:80", out, sizeof(out)));
	cr_expect_eq(resolved_count, 0);
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	cr_assert_eq(resolved_count, 1);
	cr_expect(find("late.test:80", out, sizeof(out)));
	cr_expect_geq(server.asked_late, 2);
}

Test(resolver_asks, a_name_that_does_not_exist_calls_nobody_and_is_not_asked_for_in_a_hurry)
{
	char out[256];
	cr_expect_not(find("never.test:80", out, sizeof(out)));
	wait_for(&resolved_count, 1, 1200);
	cr_expect_eq(resolved_count, 0);
	cr_expect_not(find("never.test:80", out, sizeof(out)));
	cr_expect(server.asked_never >= 1 && server.asked_never <= 3, "asked %d times", server.asked_never);
}

Test(resolver_asks, a_server_that_is_silent_about_one_name_holds_up_no_other)
{
	char out[256];
	cr_expect_not(find("silent.test:80", out, sizeof(out)));
	wait_for(&server.asked_silent, 1, WAIT_LIMIT_MS);
	cr_expect_not(find("known.test:80", out, sizeof(out)));
	wait_for(&resolved_count, 1, WAIT_LIMIT_MS);
	cr_expect(find("known.test:80", out, sizeof(out)));
	cr_expect_not(find("silent.test:80", out, sizeof(out)));
	/* Two attempts make a failure; the next question is another try. */
	wait_for(&server.asked_silent, 3, WAIT_LIMIT_MS);
	cr_expect_geq(server.asked_silent, 3);
	cr_expect_eq(resolved_count, 1);
}

Test(resolver_asks, may_be_freed_with_a_look_up_under_way)
{
	char out[256];
	cr_expect_not(find("silent.test:80", out, sizeof(out)));
	wait_for(&server.asked_silent, 1, WAIT_LIMIT_MS);
	cr_expect_eq(server.asked_silent, 1);
}

Test(resolver_asks, may_be_freed_with_a_retry_that_is_due)
{
	char out[256];
	int never = 0;
	cr_expect_not(find("never.test:80", out, sizeof(out)));
	wait_for(&server.asked_never, 1, WAIT_LIMIT_MS);
	wait_for(&never, 1, 100); /* the answer arrives */
	usleep(700 * 1000);	  /* longer than the first interval, with nobody turning the loop */
}
