/* registration_race_test - what happens between the question whose a node is and the step that follows from
 * the answer. The linker sends that step through the function below (--wrap). */
#include <stdio.h>
#include <unistd.h>

#include "lab.h"
#include "srsd/session/session.h"

#define ADDRESS	     "192.0.2.1:8888"
#define ADDRESS_PATH LAB_REGISTRY "/app/" ADDRESS

int __real_zoo_amulti(zhandle_t *handle, int count, const zoo_op_t *steps, zoo_op_result_t *results,
	void_completion_t completion, const void *data);
int __wrap_zoo_amulti(zhandle_t *handle, int count, const zoo_op_t *steps, zoo_op_result_t *results,
	void_completion_t completion, const void *data);

static void (*before_replace)(void);
static size_t replacements;

int __wrap_zoo_amulti(zhandle_t *handle, int count, const zoo_op_t *steps, zoo_op_result_t *results,
	void_completion_t completion, const void *data)
{
	if (replacements++ == 0 && before_replace != NULL)
		before_replace();
	return __real_zoo_amulti(handle, count, steps, results, completion, data);
}

static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;
static struct zk_peer former;
static struct lab_registration registration;

/* A node of a session that was ours before. */
static void setup(void)
{
	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	zk_peer_open(&former, server.port, NULL);
	cr_assert_eq(zk_peer_create(&former, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	lab_open(&lab, &server);
	lab.srsd->former[0] = zoo_client_id(former.handle)->client_id;
}

static void expect_held(void)
{
	int64_t owner;

	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	lab_run_ms(&lab, 300);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL));
	cr_assert_eq(owner, lab_session(&lab)->client_id);
	cr_assert_eq(registration.state_count, 1, "held, and nothing else; log:\n%s", lab.log);
}

static void teardown(void)
{
	lab_close(&lab);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

static void end_former(void)
{
	zk_peer_close(&former);
}

Test(registration_race, former_session_ends_before_its_node_is_replaced)
{
	setup();
	before_replace = end_former;
	lab_register(&lab, &registration, "app", ADDRESS);
	expect_held();
	cr_assert_eq(replacements, 1);
	teardown();
}

static void change_node(void)
{
	cr_assert_eq(zk_peer_set_data(&peer, ADDRESS_PATH, "changed"), ZOK);
}

Test(registration_race, node_changes_before_it_is_replaced)
{
	setup();
	before_replace = change_node;
	lab_register(&lab, &registration, "app", ADDRESS);
	expect_held();
	cr_assert_eq(replacements, 2, "the first one fails, and it looks again");
	zk_peer_close(&former);
	lab_run_ms(&lab, 300);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL), "it is ours alone");
	teardown();
}

/* The answer to the creation is lost with the connection: the node is there, and ours. Here another client
 * makes it in the name of our session, which it takes over for that moment. */
Test(registration_race, node_is_there_already_and_ours)
{
	struct zk_peer ourselves;
	clientid_t id;

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	id = *lab_session(&lab);
	zk_peer_open(&ourselves, server.port, &id);
	cr_assert_eq(zk_peer_create(&ourselves, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	lab_register(&lab, &registration, "app", ADDRESS);
	expect_held();
	cr_assert_eq(lab_session(&lab)->client_id, id.client_id);
	zk_peer_close(&ourselves);
	teardown();
}

/* What was asked when the server died has no answer; it is asked again. */
Test(registration_race, server_dies_while_the_node_is_made)
{
	zk_server_begin(&server);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_freeze(&server);
	lab_register(&lab, &registration, "app", ADDRESS);
	lab_run_ms(&lab, 100);
	zk_server_kill(&server);
	zk_server_start(&server);
	zk_peer_open(&peer, server.port, NULL);
	expect_held();
	teardown();
}

/* A machine that was started anew with an empty ZooKeeper may hand out an id that was ours before. */
Test(registration_race, new_session_has_the_id_of_a_former_one)
{
	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	lab.srsd->former[0] = lab_session(&lab)->client_id;
	lab_register(&lab, &registration, "app", ADDRESS);
	expect_held();
	cr_assert_eq(replacements, 0, "it is not taken over from itself");
	teardown();
}
