/* local_address_test - the address that a route to ZooKeeper uses. Other ones than loopback are tested in a
 * network namespace, with srsd register (tests/system/register_auto_test.py). */
#include "lab.h"

static struct lab lab;
static struct zk_server server;

Test(local_address, is_that_of_the_way_to_the_server)
{
	struct srsd_address address = {.port = 1};

	zk_server_begin(&server);
	lab_open(&lab, &server);
	cr_assert_eq(srsd_local_address(lab.srsd, 80, &address, &lab.error), SRSD_NOT_FOUND);
	cr_assert_eq(address.port, 1, "nothing is written");
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	cr_assert_eq(srsd_local_address(lab.srsd, 0, &address, &lab.error), SRSD_BAD_ARGUMENT);
	cr_assert_eq(srsd_local_address(lab.srsd, 8080, &address, &lab.error), SRSD_OK, "%s", lab.error.text);
	cr_assert_str_eq(address.host, "127.0.0.1");
	cr_assert_eq(address.port, 8080);
	cr_assert_eq(address.kind, SRSD_HOST_IPV4);
	lab_close(&lab);
	zk_server_end(&server);
}

Test(local_address, is_unknown_while_no_server_answers)
{
	struct srsd_address address;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	cr_assert_eq(srsd_local_address(lab.srsd, 8080, &address, &lab.error), SRSD_NOT_FOUND);
	lab_close(&lab);
	zk_server_end(&server);
}
