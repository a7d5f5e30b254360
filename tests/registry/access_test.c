/* access_test - labels that belong to a user: who may register under them, who may remove what is registered,
 * who may read. */
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define ADDRESS	     "192.0.2.1:8888"
#define LABEL_PATH   LAB_REGISTRY "/app"
#define ADDRESS_PATH LABEL_PATH "/" ADDRESS
#define OTHER_PATH   LABEL_PATH "/192.0.2.2:80"
#define US	     "shop:" LAB_PASSWORD

static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;
static struct lab_registration registration;

static void open_as(const char *auth)
{
	char servers[32];

	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	lab_prepare(&lab, servers);
	lab.config.auth = auth;
	lab_start(&lab);
}

static void setup(const char *auth)
{
	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	open_as(auth);
}

static void teardown(void)
{
	lab_close(&lab);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

static void register_and_hold(void)
{
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	cr_assert(lab_registration_is(&registration, SRSD_REGISTRATION_HELD), "%s", registration.text);
}

Test(access, everyone_reads_and_only_the_same_user_writes)
{
	setup(US);
	register_and_hold();
	lab_run_ms(&lab, 100);
	cr_assert_eq(lab_log_count(&lab, "everyone may"), 0, "the label is ours:\n%s", lab.log);
	cr_assert_eq(zk_peer_count(&peer, LABEL_PATH), 1);
	cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZNOAUTH);
	cr_assert_eq(zk_peer_create(&peer, OTHER_PATH, ZOO_EPHEMERAL), ZNOAUTH);
	cr_assert_eq(zk_peer_set_data(&peer, ADDRESS_PATH, "changed"), ZNOAUTH);
	/* Nobody is kept from having labels of his own. */
	cr_assert_eq(zk_peer_create(&peer, LAB_REGISTRY "/other/192.0.2.1:1", ZOO_EPHEMERAL), ZOK);

	zk_peer_auth(&peer, "shop:another password");
	cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZNOAUTH);
	cr_assert_eq(zk_peer_create(&peer, OTHER_PATH, ZOO_EPHEMERAL), ZNOAUTH);

	zk_peer_auth(&peer, US);
	cr_assert_eq(zk_peer_create(&peer, OTHER_PATH, ZOO_EPHEMERAL), ZOK);
	cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZOK);
	teardown();
}

/* Each handle has to say anew who we are. */
Test(access, is_known_to_the_next_session_too)
{
	setup(US);
	register_and_hold();
	for (size_t round = 2; round <= 3; round++) {
		lab_expire(&lab, &server);
		LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == round);
	}
	zk_peer_close(&peer);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	zk_server_start(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	srsd_deregister(&registration.registration, 10000);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_RELEASED));
	zk_peer_open(&peer, server.port, NULL);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL), "we may remove it");
	cr_assert_eq(lab_registration_count(&registration, SRSD_REGISTRATION_DENIED), 0);
	teardown();
}

static void expect_denied(const char *auth, const char *why)
{
	open_as(auth);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	cr_assert(lab_registration_is(&registration, SRSD_REGISTRATION_DENIED));
	cr_assert(strstr(registration.text, why) != NULL, "%s", registration.text);
	lab_close(&lab);
}

Test(access, says_that_a_label_is_of_another)
{
	setup(US);
	register_and_hold();
	lab_close(&lab);
	expect_denied(NULL, "only those who give its user and password");
	expect_denied("shop:wrong", "another password");
	/* Another label is free for who wants it. */
	open_as("others:secret");
	lab_register(&lab, &registration, "theirs", ADDRESS);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	teardown();
}

Test(access, warns_of_a_label_that_is_open_to_all)
{
	setup(US);
	cr_assert_eq(zk_peer_create(&peer, LABEL_PATH, ZOO_PERSISTENT), ZOK);
	register_and_hold();
	LAB_WAIT(&lab, lab_log_count(&lab, LABEL_PATH ": everyone may register here") == 1);
	lab_run_ms(&lab, 100);
	cr_assert_eq(zk_peer_delete(&peer, ADDRESS_PATH), ZOK);
	LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == 2);
	lab_run_ms(&lab, 300);
	cr_assert_eq(lab_log_count(&lab, "everyone may"), 1, "once:\n%s", lab.log);
	teardown();
}

Test(access, reads_a_label_that_only_its_user_may_read)
{
	static char scheme[] = "auth";
	static char nobody_else[] = "";
	struct ACL entry = {.perms = 31, .id = {.scheme = scheme, .id = nobody_else}};
	struct ACL_vector list = {.count = 1, .data = &entry};
	struct lab_watch watch;

	setup(US);
	zk_peer_auth(&peer, US);
	cr_assert_eq(zk_peer_create_acl(&peer, LABEL_PATH, ZOO_PERSISTENT, &list), ZOK);
	cr_assert_eq(zk_peer_create(&peer, ADDRESS_PATH, ZOO_EPHEMERAL), ZOK);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_has(&watch, ADDRESS));
	lab_close(&lab);
	lab_watch_clear(&watch);
	open_as(NULL);
	lab_watch(&lab, &watch, "app");
	lab_run_ms(&lab, 1000);
	cr_assert_eq(lab_watch_count(&watch), 0);
	lab_watch_clear(&watch);
	teardown();
}

Test(access, refuses_what_is_no_user_and_password)
{
	static const char *const bad[] = {"", "shop", ":" LAB_PASSWORD, "shop:", "shop:" LAB_PASSWORD "\n"};
	struct srsd *none = NULL;

	lab_prepare(&lab, "127.0.0.1:1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		lab.config.auth = bad[i];
		cr_assert_eq(srsd_open(lab.base, &lab.config, &none, &lab.error), SRSD_BAD_ARGUMENT);
		cr_assert(strstr(lab.error.text, "user:password") != NULL, "%s", lab.error.text);
		cr_assert(strstr(lab.error.text, LAB_PASSWORD) == NULL, "%s", lab.error.text);
	}
	lab_close(&lab);
}

static void begin_with(const char *lines)
{
	char path[96];
	FILE *extra;

	zk_server_prepare(&server);
	snprintf(path, sizeof(path), "%s/zoo.extra", server.directory);
	extra = fopen(path, "w");
	cr_assert_not_null(extra);
	fputs(lines, extra);
	fclose(extra);
	zk_server_start(&server);
}

/* Each session that it makes is written down by all servers of an ensemble, and by the log. */
Test(access, makes_few_sessions_where_no_password_is_taken)
{
	begin_with("DigestAuthenticationProvider.enabled=false\n");
	open_as(US);
	LAB_WAIT(&lab, lab_log_count(&lab, "digest authentication is off") > 0);
	lab_run_ms(&lab, 3000);
	cr_assert_leq(lab_state_count(&lab, SRSD_CONNECTED), 8, "%s", lab.log);
	lab_close(&lab);
	zk_server_end(&server);
}

/* It takes who does not give one, and closes the connection at the first question. */
Test(access, comes_back_ever_more_seldom_where_a_password_is_wanted)
{
	struct lab_watch watch;

	begin_with("enforce.auth.enabled=true\nenforce.auth.schemes=digest\n");
	open_as(NULL);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_SUSPENDED) > 0);
	lab_run_ms(&lab, 6000);
	cr_assert_leq(lab_state_count(&lab, SRSD_CONNECTED), 15, "%s", lab.log);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}
