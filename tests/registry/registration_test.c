/* registration_test - a node that is to be held, against those who remove it, own it already, or forbid it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"
#include "srsd/session/session.h"

#define ADDRESS	     "192.0.2.1:8888"
#define ADDRESS_PATH LAB_REGISTRY "/app/" ADDRESS

static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;
static struct lab_registration registration;

static void setup(void)
{
	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	lab_open(&lab, &server);
}

static void teardown(void)
{
	if (lab.base != NULL)
		lab_close(&lab);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

static void expect_states(const enum srsd_registration_state *expected, size_t count)
{
	cr_assert_eq(
		registration.state_count, count, "%zu states; log:\n%s", registration.state_count, lab.log);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(registration.states[i], expected[i], "state %zu is %s", i,
			srsd_registration_state_text(registration.states[i]));
}

static void expect_owned_by_us(void)
{
	int64_t owner;

	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL));
	cr_assert_eq(owner, lab_session(&lab)->client_id);
}

Test(registration, makes_the_node_and_what_is_above_it)
{
	int64_t owner = -1;
	int bytes = -1;

	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	cr_assert_eq(registration.state_count, 0, "never inside the call");
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_HELD}, 1);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, &bytes));
	cr_assert_eq(owner, lab_session(&lab)->client_id, "ephemeral, and ours");
	cr_assert_eq(bytes, 0, "empty data");
	cr_assert(zk_peer_exists(&peer, LAB_REGISTRY "/app", &owner, &bytes));
	cr_assert_eq(owner, 0, "persistent");
	cr_assert_eq(bytes, 0);
	/* The session takes it along. */
	lab_close(&lab);
	for (uint64_t end_ms = lab_now_ms() + LAB_PATIENCE_MS;
		zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL);)
		cr_assert_lt(lab_now_ms(), end_ms);
	cr_assert(zk_peer_exists(&peer, LAB_REGISTRY "/app", NULL, NULL));
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_HELD}, 1);
	teardown();
}

Test(registration, makes_it_again_when_others_remove_it)
{
	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	for (size_t round = 1; round <= 3; round++) {
		lab_run_ms(&lab, 50); /* the watch is set a moment after the node is there */
		cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZOK);
		LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == round + 1);
		cr_assert_eq(lab_registration_count(&registration, SRSD_REGISTRATION_PENDING), round);
		expect_owned_by_us();
	}
	/* With all that is above it. */
	lab_run_ms(&lab, 50);
	cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZOK);
	zk_peer_delete(&peer, LAB_REGISTRY "/app");
	LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == 5);
	expect_owned_by_us();
	teardown();
}

Test(registration, waits_for_a_node_of_another_session)
{
	struct srsd_holder holder;
	struct zk_peer other;
	char id[32];

	setup();
	zk_peer_open(&other, server.port, NULL);
	snprintf(id, sizeof(id), "0x%" PRIx64, (uint64_t)zoo_client_id(other.handle)->client_id);
	cr_assert_eq(zk_peer_create(&other, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_CONFLICT}, 1);
	cr_assert(strstr(registration.text, id) != NULL, "%s does not name %s", registration.text, id);
	lab_run_ms(&lab, 4000);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_CONFLICT}, 1);
	cr_assert(srsd_registration_holder(registration.registration, &holder));
	cr_assert_eq(holder.session, zoo_client_id(other.handle)->client_id);
	cr_assert_geq(holder.age_ms, 4000);
	cr_assert_leq(holder.age_ms, LAB_PATIENCE_MS);
	zk_peer_close(&other);
	LAB_WAIT(&lab, registration.state_count == 2);
	expect_states(
		(enum srsd_registration_state[]){SRSD_REGISTRATION_CONFLICT, SRSD_REGISTRATION_HELD}, 2);
	expect_owned_by_us();
	cr_assert_not(srsd_registration_holder(registration.registration, &holder));
	teardown();
}

Test(registration, says_who_holds_it_now)
{
	struct zk_peer others[2];
	struct srsd_holder holder;

	setup();
	zk_peer_open(&others[0], server.port, NULL);
	zk_peer_open(&others[1], server.port, NULL);
	cr_assert_eq(zk_peer_create(&others[0], ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	cr_assert_eq(zk_peer_delete(&others[0], ADDRESS_PATH), ZOK);
	cr_assert_eq(zk_peer_create(&others[1], ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, registration.state_count == 2);
	expect_states(
		(enum srsd_registration_state[]){SRSD_REGISTRATION_CONFLICT, SRSD_REGISTRATION_CONFLICT}, 2);
	cr_assert(srsd_registration_holder(registration.registration, &holder));
	cr_assert_eq(holder.session, zoo_client_id(others[1].handle)->client_id);
	zk_peer_close(&others[0]);
	zk_peer_close(&others[1]);
	teardown();
}

/* However often that happens: it is not waited for longer each time. */
Test(registration, makes_it_again_as_often_as_it_is_removed)
{
	uint64_t before_ms;

	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	before_ms = lab_now_ms();
	for (size_t round = 1; round <= 10; round++) {
		cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZOK);
		LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == round + 1);
	}
	cr_assert_lt(lab_now_ms() - before_ms, 15000);
	teardown();
}

Test(registration, waits_for_a_persistent_node)
{
	setup();
	cr_assert_eq(zk_peer_create(&peer, ADDRESS_PATH, ZOO_PERSISTENT), ZOK);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_CONFLICT}, 1);
	cr_assert(strstr(registration.text, "persistent") != NULL);
	lab_run_ms(&lab, 50);
	cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZOK);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	expect_owned_by_us();
	teardown();
}

/* When the session that owned the node ends later, it must not take ours along, and nobody may see it
 * missing. */
Test(registration, takes_over_a_node_of_its_former_self)
{
	struct lab_watch watch;
	struct zk_peer former;

	setup();
	zk_peer_open(&former, server.port, NULL);
	cr_assert_eq(zk_peer_create(&former, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	lab.srsd->former[0] = zoo_client_id(former.handle)->client_id;
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_HELD}, 1);
	expect_owned_by_us();
	zk_peer_close(&former);
	expect_owned_by_us();
	lab_run_ms(&lab, 500);
	expect_owned_by_us();
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_HELD}, 1);
	/* It is another node: that is a change. More would be one in which it was away. */
	cr_assert_eq(watch.changes, 2);
	cr_assert_eq(lab_watch_count(&watch), 1);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(registration, says_that_it_is_denied)
{
	static struct ACL readers[1];
	struct ACL_vector acl = {.count = 1, .data = readers};

	setup();
	readers[0].perms = ZOO_PERM_READ;
	readers[0].id = ZOO_ANYONE_ID_UNSAFE;
	cr_assert_eq(zk_peer_create_acl(&peer, LAB_REGISTRY "/app", ZOO_PERSISTENT, &acl), ZOK);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_DENIED}, 1);
	lab_run_ms(&lab, 500);
	cr_assert_eq(registration.state_count, 1, "it is said once");
	cr_assert_eq(zk_peer_delete(&peer, LAB_REGISTRY "/app"), ZOK);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	teardown();
}

Test(registration, says_that_a_parent_is_ephemeral)
{
	setup();
	cr_assert_eq(zk_peer_create(&peer, LAB_REGISTRY "/app", ZOO_EPHEMERAL), ZOK);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_DENIED}, 1);
	cr_assert(strstr(registration.text, "ephemeral") != NULL);
	teardown();
}

Test(registration, refuses_what_is_no_address_or_label)
{
	struct srsd_registration *none = NULL;

	setup();
	cr_assert_eq(srsd_register(lab.srsd, "app", "192.0.2.1", NULL, NULL, NULL, &none, &lab.error),
		SRSD_BAD_ARGUMENT);
	cr_assert(strstr(lab.error.text, "port is missing") != NULL, "%s", lab.error.text);
	cr_assert_eq(srsd_register(lab.srsd, "a/b", ADDRESS, NULL, NULL, NULL, &none, &lab.error),
		SRSD_BAD_ARGUMENT);
	cr_assert_eq(
		srsd_register(lab.srsd, "app", NULL, NULL, NULL, NULL, &none, &lab.error), SRSD_BAD_ARGUMENT);
	cr_assert_eq(
		srsd_register(lab.srsd, "", ADDRESS, NULL, NULL, NULL, &none, &lab.error), SRSD_BAD_ARGUMENT);
	cr_assert_null(none);
	/* Nobody has to listen. */
	cr_assert_eq(srsd_register(lab.srsd, "app", ADDRESS, NULL, NULL, NULL, &none, &lab.error), SRSD_OK);
	LAB_WAIT(&lab, zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	srsd_deregister(&none, 1000);
	cr_assert_null(none);
	LAB_WAIT(&lab, !zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	srsd_deregister(&none, 1000);
	teardown();
}

static void hold_with_data(const struct srsd_register_options *options)
{
	registration = (struct lab_registration){0};
	cr_assert_eq(srsd_register(lab.srsd, "app", ADDRESS, options, lab_on_registration, &registration,
			     &registration.registration, &lab.error),
		SRSD_OK, "%s", lab.error.text);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
}

static void expect_data(const char *expected)
{
	char data[256];

	zk_peer_get(&peer, ADDRESS_PATH, data, sizeof(data));
	cr_assert_str_eq(data, expected);
}

/* At first, after the session expired, and when it takes the place of a node of a former session. */
Test(registration, says_of_itself_what_it_is_told)
{
	static const struct srsd_label labels[] = {{"rack", "7"}};
	static const char expected[] = "{\"labels\":{\"rack\":\"7\"},\"weight\":3,\"zone\":\"eu-1\"}";
	struct srsd_register_options options = {
		.weight = 3, .zone = "eu-1", .labels = labels, .label_count = 1};
	struct zk_peer former;

	setup();
	zk_peer_open(&former, server.port, NULL);
	cr_assert_eq(zk_peer_create(&former, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	lab.srsd->former[0] = zoo_client_id(former.handle)->client_id;
	hold_with_data(&options);
	expect_data(expected);
	zk_peer_close(&former);
	lab_expire(&lab, &server);
	LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == 2);
	expect_data(expected);
	options.weight = 65536;
	cr_assert_eq(srsd_register(lab.srsd, "app", "192.0.2.2:1", &options, NULL, NULL,
			     &registration.registration, &lab.error),
		SRSD_BAD_ARGUMENT);
	cr_assert(strstr(lab.error.text, "65535") != NULL, "%s", lab.error.text);
	teardown();
}

Test(registration, brings_many_back_after_expiry)
{
	static struct lab_registration many[200];
	char address[32];

	setup();
	for (int i = 0; i < 200; i++) {
		snprintf(address, sizeof(address), "192.0.2.1:%d", 1000 + i);
		lab_register(&lab, &many[i], "app", address);
	}
	for (int i = 0; i < 200; i++)
		LAB_WAIT(&lab, many[i].state_count == 1);
	lab_expire(&lab, &server);
	for (int i = 0; i < 200; i++)
		LAB_WAIT(&lab, lab_registration_count(&many[i], SRSD_REGISTRATION_HELD) == 2);
	cr_assert_eq(zk_peer_count(&peer, LAB_REGISTRY "/app"), 200);
	teardown();
}

/* ---- Leaving --------------------------------------------------------------------------------- */

Test(registration, is_removed_when_it_ends)
{
	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	srsd_deregister(&registration.registration, 5000);
	cr_assert_null(registration.registration);
	cr_assert_eq(registration.state_count, 1, "never inside the call");
	LAB_WAIT(&lab, registration.state_count == 2);
	expect_states(
		(enum srsd_registration_state[]){SRSD_REGISTRATION_HELD, SRSD_REGISTRATION_RELEASED}, 2);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	lab_run_ms(&lab, 300);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL), "it does not come back");
	cr_assert(TAILQ_EMPTY(&lab.srsd->listeners));
	/* And again, on the same session. */
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_owned_by_us();
	teardown();
}

Test(registration, is_removed_though_its_making_is_on_its_way)
{
	setup();
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_peer_create(&peer, LAB_REGISTRY "/app", ZOO_PERSISTENT);
	for (int i = 0; i < 20; i++) {
		lab_register(&lab, &registration, "app", ADDRESS);
		srsd_deregister(&registration.registration, 20000);
		LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_RELEASED));
		cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	}
	teardown();
}

Test(registration, leaves_the_node_of_another_alone)
{
	setup();
	cr_assert_eq(zk_peer_create(&peer, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	srsd_deregister(&registration.registration, 20000);
	LAB_WAIT(&lab, registration.state_count == 2);
	expect_states(
		(enum srsd_registration_state[]){SRSD_REGISTRATION_CONFLICT, SRSD_REGISTRATION_RELEASED}, 2);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	teardown();
}

Test(registration, is_given_up_in_time_when_no_server_answers)
{
	uint64_t before_ms;

	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	zk_server_freeze(&server);
	before_ms = lab_now_ms();
	srsd_deregister(&registration.registration, 500);
	LAB_WAIT(&lab, registration.state_count == 2);
	cr_assert_geq(lab_now_ms() - before_ms, 490);
	cr_assert_lt(lab_now_ms() - before_ms, 10000);
	cr_assert(strstr(registration.text, "no server answers") != NULL, "%s", registration.text);
	cr_assert(strstr(registration.text, "goes with the session") != NULL, "%s", registration.text);
	zk_server_thaw(&server);
	lab_close(&lab);
	teardown();
}

Test(registration, ends_at_once_when_it_never_was)
{
	zk_server_prepare(&server);
	lab_open(&lab, &server);
	lab_register(&lab, &registration, "app", ADDRESS);
	lab_run_ms(&lab, 100);
	srsd_deregister(&registration.registration, 60000);
	cr_assert_eq(registration.state_count, 0, "never inside the call");
	LAB_WAIT(&lab, registration.state_count == 1);
	expect_states((enum srsd_registration_state[]){SRSD_REGISTRATION_RELEASED}, 1);
	lab_close(&lab);
	zk_server_end(&server);
}

Test(registration, is_removed_after_the_server_came_back)
{
	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	zk_peer_close(&peer);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	srsd_deregister(&registration.registration, 60000);
	lab_run_ms(&lab, 100);
	cr_assert_eq(registration.state_count, 1);
	zk_server_start(&server);
	LAB_WAIT(&lab, registration.state_count == 2);
	zk_peer_open(&peer, server.port, NULL);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	teardown();
}

Test(registration, is_removed_though_it_was_wanted_again_for_a_while)
{
	struct lab_registration again;

	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	zk_peer_close(&peer);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	srsd_deregister(&registration.registration, 100);
	LAB_WAIT(&lab, registration.state_count == 2);
	lab_register(&lab, &again, "app", ADDRESS);
	srsd_deregister(&again.registration, 60000);
	lab_run_ms(&lab, 100);
	cr_assert_eq(again.state_count, 0, "the node of the first one may be there");
	zk_server_start(&server);
	LAB_WAIT(&lab, again.state_count == 1);
	zk_peer_open(&peer, server.port, NULL);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	teardown();
}

Test(registration, is_removed_when_a_server_answers_after_all)
{
	struct lab_registration other;
	struct lab_registration again;

	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	lab_register(&lab, &other, "app", "192.0.2.2:8888");
	LAB_WAIT(&lab, registration.state_count == 1 && other.state_count == 1);
	zk_peer_close(&peer);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	srsd_deregister(&registration.registration, 100);
	srsd_deregister(&other.registration, 100);
	LAB_WAIT(&lab, registration.state_count == 2 && other.state_count == 2);

	/* One of them is wanted again, the other one is not. */
	lab_register(&lab, &again, "app", ADDRESS);
	zk_server_start(&server);
	LAB_WAIT(&lab, lab_registration_is(&again, SRSD_REGISTRATION_HELD));
	cr_assert_eq(lab_state_count(&lab, SRSD_EXPIRED), 0, "the session has survived:\n%s", lab.log);
	zk_peer_open(&peer, server.port, NULL);
	LAB_WAIT(&lab, !zk_peer_exists(&peer, LAB_REGISTRY "/app/192.0.2.2:8888", NULL, NULL));
	lab_run_ms(&lab, 200);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	cr_assert_eq(again.state_count, 1, "%s", lab.log);
	cr_assert_eq(registration.state_count, 2, "nothing is reported after the last state");
	teardown();
}

/* The node that was to be removed says something else. */
Test(registration, that_is_wanted_again_with_other_data_has_these)
{
	static const struct srsd_register_options heavy = {.weight = 5};
	struct lab_registration again = {0};
	char data[64];

	setup();
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	zk_peer_close(&peer);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	srsd_deregister(&registration.registration, 100);
	LAB_WAIT(&lab, registration.state_count == 2);
	cr_assert_eq(srsd_register(lab.srsd, "app", ADDRESS, &heavy, lab_on_registration, &again,
			     &again.registration, &lab.error),
		SRSD_OK, "%s", lab.error.text);
	zk_server_start(&server);
	LAB_WAIT(&lab, lab_registration_is(&again, SRSD_REGISTRATION_HELD));
	cr_assert_eq(lab_state_count(&lab, SRSD_EXPIRED), 0, "the session has survived:\n%s", lab.log);
	zk_peer_open(&peer, server.port, NULL);
	zk_peer_get(&peer, ADDRESS_PATH, data, sizeof(data));
	cr_assert_str_eq(data, "{\"weight\":5}");
	teardown();
}
