/* ensemble_test - a registration and a watch on three servers that are one: what one of them suffers is not
 * felt for long, and what was held is held. */
#include <inttypes.h>

#include "lab.h"
#include "zk_ensemble.h"

#define ADDRESS	     "192.0.2.1:8888"
#define ADDRESS_PATH LAB_REGISTRY "/app/" ADDRESS

static struct lab lab;
static struct lab_watch watch;
static struct lab_registration registration;
static struct zk_ensemble ensemble;

/* The loop rests while servers are started: a session that must outlive that is a long one. */
static void begin(uint32_t session_timeout_ms)
{
	zk_ensemble_begin(&ensemble);
	lab_prepare(&lab, ensemble.list);
	lab.config.session_timeout_ms = session_timeout_ms;
	lab_start(&lab);
	lab_watch(&lab, &watch, "app");
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1 && registration.state_count == 1);
}

static void end(void)
{
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_ensemble_end(&ensemble);
}

/* The node is there, it is ours, and a change is seen. */
static void expect_all_well(const char *newcomer)
{
	size_t before = lab_watch_count(&watch);
	struct zk_peer peer;
	char path[128];
	int64_t owner;

	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED &&
			       lab_registration_is(&registration, SRSD_REGISTRATION_HELD) &&
			       lab_watch_has(&watch, ADDRESS));
	zk_peer_open(&peer, ensemble.servers[0].port, NULL);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL));
	cr_assert_eq(owner, lab_session(&lab)->client_id, "0x%" PRIx64, (uint64_t)owner);
	snprintf(path, sizeof(path), LAB_REGISTRY "/app/%s", newcomer);
	cr_assert_eq(zk_peer_create(&peer, path, ZOO_PERSISTENT), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == before + 1 && lab_watch_has(&watch, newcomer));
	zk_peer_close(&peer);
}

Test(ensemble, keeps_the_session_while_any_one_server_is_lost)
{
	clientid_t before;
	unsigned leader;

	begin(60000);
	before = *lab_session(&lab);

	leader = zk_ensemble_leader(&ensemble);
	zk_server_kill(&ensemble.servers[leader]);
	cr_assert_neq(zk_ensemble_leader(&ensemble), leader);
	zk_ensemble_start(&ensemble);
	expect_all_well("192.0.2.2:80");

	/* Every server in turn, so the one that is ours too. */
	zk_ensemble_roll(&ensemble);
	expect_all_well("192.0.2.3:80");
	cr_assert_eq(lab_session(&lab)->client_id, before.client_id);
	cr_assert_eq(registration.state_count, 1, "it was held all the time");
	cr_assert_eq(lab_state_count(&lab, SRSD_EXPIRED), 0);
	end();
}

Test(ensemble, comes_back_after_the_quorum_and_after_all_data_are_lost)
{
	unsigned leader;
	size_t expired;

	begin(4000);
	leader = zk_ensemble_leader(&ensemble);
	zk_server_kill(&ensemble.servers[leader]);
	zk_server_freeze(&ensemble.servers[(leader + 1) % ZK_ENSEMBLE_SERVERS]);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	cr_assert_eq(lab_watch_count(&watch), 1, "the last set stands");
	zk_server_thaw(&ensemble.servers[(leader + 1) % ZK_ENSEMBLE_SERVERS]);
	zk_ensemble_start(&ensemble);
	expect_all_well("192.0.2.2:80");

	zk_ensemble_kill(&ensemble);
	zk_ensemble_wipe(&ensemble);
	expired = lab_state_count(&lab, SRSD_EXPIRED);
	zk_ensemble_start(&ensemble);
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_EXPIRED) == expired + 1 && lab_watch_count(&watch) == 1 &&
			       lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	expect_all_well("192.0.2.3:80");
	end();
}
