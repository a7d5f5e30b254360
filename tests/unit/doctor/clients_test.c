/* clients_test - what servers answer to "cons" and "conf", as versions 3.4 to 3.8 on old and new Java write
 * it. */
#include "srsd/command/doctor/clients.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const char cons[] =
	" /127.0.0.1:33696[0](queued=0,recved=1,sent=0)\n"
	" /192.0.2.7:33690[1](queued=0,recved=1,sent=1,sid=0x100016446170000,lop=SESS,est=1795360420966,"
	"to=30000,lcxid=0x0,lzxid=0x1,lresp=23353166,llat=5,minlat=0,avglat=5,maxlat=5)\n"
	" /0:0:0:0:0:0:0:1:40000[1](queued=0,recved=9,sent=9,sid=0xff016446170001,lop=PING,est=1,to=4000,"
	"lcxid=0x0,lzxid=0x1,lresp=1,llat=0,minlat=0,avglat=0,maxlat=0)\n"
	" /[2001:db8:0:0:0:0:0:1]:40000[1](queued=0,recved=9,sent=9,sid=0x8000000000000001,lop=PING,est=1,"
	"to=10000)\n"
	" web1.example/192.0.2.9:40000[1](queued=0,recved=9,sent=9,sid=0x2,lop=PING,est=1,to=500)\n"
	" nonsense(queued=0,sid=0x3,to=7)\n"
	"\n";

static struct clients read_all(const char *answer)
{
	struct clients clients = {0};

	cr_assert(clients_read(&clients, answer));
	clients_sort(&clients);
	return clients;
}

static void expect(const struct clients *clients, int64_t session, const char *host, uint32_t timeout_ms)
{
	const struct client *client = clients_find(clients, session);

	cr_assert_not_null(client, "%llx", (unsigned long long)session);
	cr_assert_str_eq(client->host, host);
	cr_assert_eq(client->timeout_ms, timeout_ms);
}

Test(clients, reads_each_session)
{
	struct clients clients = read_all(cons);

	cr_assert_eq(clients.count, 5);
	expect(&clients, 0x100016446170000, "192.0.2.7", 30000);
	expect(&clients, 0xff016446170001, "::1", 4000);
	expect(&clients, INT64_MIN + 1, "2001:db8::1", 10000);
	expect(&clients, 2, "192.0.2.9", 500);
	expect(&clients, 3, "", 7);
	cr_assert_null(clients_find(&clients, 4));
	cr_assert_null(clients_find(&clients, 0));
	clients_clear(&clients);
}

Test(clients, gathers_several_servers)
{
	struct clients clients = {0};
	char line[64];

	for (int i = 500; i > 0; i--) {
		snprintf(line, sizeof(line), " /192.0.2.1:1[1](queued=0,sid=0x%x,to=%d)\n", i, i);
		cr_assert(clients_read(&clients, line));
	}
	clients_sort(&clients);
	cr_assert_eq(clients.count, 500);
	for (int i = 1; i <= 500; i++)
		expect(&clients, i, "192.0.2.1", (uint32_t)i);
	clients_clear(&clients);
}

Test(clients, finds_nobody_where_nobody_is)
{
	struct clients clients = read_all("");

	cr_assert_eq(clients.count, 0);
	cr_assert_null(clients_find(&clients, 1));
	clients_clear(&clients);
}

Test(clients, cut_and_odd_lines_do_no_harm)
{
	static const char *const answers[] = {" /", " /:[1](queued=0,sid=0x1", "(,sid=0x2",
		" /1.2.3.4(,sid=0x", ":::", " /[]:1[1](,sid=0x5,to=", "\n\n\n",
		",sid=0x1,to=99999999999999999999"};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct clients clients = read_all(answers[i]);

		clients_clear(&clients);
	}
}

Test(clients, numbers_end_with_their_line)
{
	struct clients clients =
		read_all(" /192.0.2.1:1[1](queued=0,sid=0x\nabc\n /192.0.2.1:1[1](sid=1,sid=0x5,to=\n77");

	cr_assert_eq(clients.count, 1);
	expect(&clients, 5, "192.0.2.1", 0);
	clients_clear(&clients);
}

Test(clients, reads_bounds)
{
	struct server_bounds bounds;

	cr_assert(server_bounds_read("clientPort=2181\ntickTime=500\nminSessionTimeout=1000\n"
				     "maxSessionTimeout=60000\nserverId=0\n",
		&bounds));
	cr_assert_eq(bounds.session_least_ms, 1000);
	cr_assert_eq(bounds.session_most_ms, 60000);
	cr_assert_eq(bounds.members, 1);
	cr_assert(server_bounds_read(
		"minSessionTimeout=4000\nmaxSessionTimeout=40000\nserverId=1\n"
		"electionAlg=3\nmembership: \nserver.1=127.0.0.1:2:3:participant;127.0.0.1:4\n"
		"server.2=127.0.0.2:2:3:participant;127.0.0.2:4\nserver.3=x\nversion=0\n",
		&bounds));
	cr_assert_eq(bounds.members, 3);
	cr_assert_not(server_bounds_read("", &bounds));
	cr_assert_not(
		server_bounds_read("This ZooKeeper instance is not currently serving requests\n", &bounds));
}
