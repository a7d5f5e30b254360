/* What is asked of endpoints, and what follows: listening sockets, and those where nobody listens. */
#include "checker/care.h"

#include "loop_until.h"
#include "peer.h"

#define BACKENDS_MAX 4

static struct loop loop;
static struct rounds rounds;
static struct care care;
static struct verdicts verdicts;
static struct health_settings settings;
static struct backend *backends[BACKENDS_MAX];
static int sockets[BACKENDS_MAX];
static size_t count;
static struct backend *doubted; /* the last one, until it is seen to */

static bool on_turn(void *owner, struct ward *ward, struct probe_plan *plan)
{
	(void)owner;
	return care_on_turn(ward, plan, clock_coarse_ms());
}

static void on_probed(void *owner, struct ward *ward, enum evidence evidence)
{
	(void)owner;
	care_on_probed(ward, evidence, clock_coarse_ms());
}

static const struct rounds_events events = {.on_turn = on_turn, .on_probed = on_probed};

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	doubted = CONTAINER_OF(belief, struct backend, belief);
}

static void setup(void)
{
	const struct belief_rules rules = {
		.errors_max = 3, .ejected_share = 50, .ejection_ms = 50, .ejection_max_ms = 100};
	settings = (struct health_settings){.probe = PROBE_SETTING_CONNECT,
		.path = (char[]){"/"},
		.timeout_ms = 1000,
		.vanish_share = 50,
		.vanish_hold_ms = 60000};
	verdicts_init(&verdicts, "service", &rules);
	verdicts.on_doubt = on_doubt;
	cr_assert(loop_init(&loop, 32768));
	rounds_init(&rounds, &loop, &events, NULL);
}

static void teardown(void)
{
	care_finish(&care);
	loop_finish(&loop);
	rounds_finish(&rounds);
	for (size_t i = 0; i < count; i++) {
		backend_unref(&backends[i]);
		close(sockets[i]);
	}
}

TestSuite(care, .init = setup, .fini = teardown);

static void begin(void)
{
	care_init(&care, "service", &settings, &verdicts, &rounds);
}

static struct belief *add(bool is_listening)
{
	struct sockaddr_in at;
	sockets[count] = peer_listen(&at, is_listening);
	const union address address = {.ipv4 = at};
	const char name[] = {(char)('a' + count), ':', '1', '\0'};
	backends[count] = backend_new(name, &address, 1, 1, &verdicts);
	cr_assert_not_null(backends[count]);
	return &backends[count++]->belief;
}

/* The registry lists the first so many now. */
static void take(size_t listed)
{
	struct fleet *fleet = fleet_new(0, 1, 0, listed);
	cr_assert_not_null(fleet);
	for (size_t i = 0; i < listed; i++)
		fleet_append(fleet, backends[i], 1, NULL);
	verdicts_set_count(&verdicts, (uint32_t)listed);
	care_take(&care, fleet, clock_coarse_ms());
	rounds_run(&rounds);
}

static void weigh(struct belief *belief, enum evidence evidence)
{
	belief_weigh(belief, evidence, clock_coarse_ms(), clock_coarse_ms());
}

struct wanted {
	struct belief *belief;
	enum belief_state state;
};

static bool is_so(void *arg)
{
	struct wanted *wanted = arg;
	if (doubted != NULL)
		care_doubt(&care, doubted, clock_coarse_ms());
	doubted = NULL;
	care_tick(&care, clock_coarse_ms());
	rounds_run(&rounds);
	return belief_state(wanted->belief) == wanted->state;
}

static void wait_for(struct belief *belief, enum belief_state state)
{
	struct wanted wanted = {belief, state};
	cr_assert(loop_until(&loop, is_so, &wanted, LOOP_UNTIL_MS), "it does not become %s, but is %s",
		belief_state_text(state), belief_state_text(belief_state(belief)));
}

Test(care, who_is_new_is_connected_to)
{
	begin();
	struct belief *living = add(true), *dead = add(false);
	take(2);
	wait_for(living, BELIEF_LIVE);
	wait_for(dead, BELIEF_EJECTED);
	cr_expect_eq(belief_reason(dead), EVIDENCE_PROBE_REFUSED);
	/* It is tried again and again. */
	cr_assert_eq(listen(sockets[1], 8), 0);
	wait_for(dead, BELIEF_LIVE);
	cr_expect_geq(verdicts.probes[EVIDENCE_PROBE_REFUSED], 1);
	cr_expect_eq(verdicts.probes[EVIDENCE_PROBE_PASSED], 2);
}

Test(care, a_hint_is_followed)
{
	begin();
	struct belief *one = add(true), *other = add(true);
	take(2);
	wait_for(one, BELIEF_LIVE);
	wait_for(other, BELIEF_LIVE);
	close(sockets[0]);
	weigh(one, EVIDENCE_IDLE_CLOSED);
	cr_expect_eq(belief_state(one), BELIEF_LIVE, "it is nothing but a hint");
	wait_for(one, BELIEF_EJECTED);
	weigh(other, EVIDENCE_IDLE_CLOSED);
	(void)loop_until(&loop, NULL, NULL, 50);
	cr_expect_eq(belief_state(other), BELIEF_LIVE);
	struct sockaddr_in unused;
	sockets[0] = peer_listen(&unused, false);
}

Test(care, a_hint_that_was_lost_is_found)
{
	begin();
	struct belief *one = add(true);
	take(1);
	wait_for(one, BELIEF_LIVE);
	close(sockets[0]);
	care_doubt_all(&care, clock_coarse_ms());
	wait_for(one, BELIEF_EJECTED);
	struct sockaddr_in unused;
	sockets[0] = peer_listen(&unused, false);
}

Test(care, who_works_is_looked_at_where_that_is_wanted)
{
	settings.interval_ms = 30;
	begin();
	struct belief *one = add(true);
	take(1);
	wait_for(one, BELIEF_LIVE);
	close(sockets[0]);
	wait_for(one, BELIEF_EJECTED);
	struct sockaddr_in unused;
	sockets[0] = peer_listen(&unused, false);
}

Test(care, without_probes_time_alone_lets_in)
{
	settings.probe = PROBE_SETTING_OFF;
	begin();
	struct belief *dead = add(false);
	take(1);
	wait_for(dead, BELIEF_LIVE);
	weigh(dead, EVIDENCE_CONNECT_REFUSED);
	cr_expect_eq(belief_state(dead), BELIEF_EJECTED);
	wait_for(dead, BELIEF_LIVE);
	cr_expect_eq(belief_reason(dead), EVIDENCE_NOT_PROBED);
	for (int i = 0; i < EVIDENCE_COUNT; i++)
		cr_expect_eq(verdicts.probes[i], 0, "nobody was looked at");
}

Test(care, who_vanished_is_dropped_when_nobody_is_there)
{
	begin();
	struct belief *living = add(true), *dead = add(true);
	take(2);
	wait_for(living, BELIEF_LIVE);
	wait_for(dead, BELIEF_LIVE);
	close(sockets[1]);
	take(0);
	cr_expect_eq(belief_state(living), BELIEF_UNLISTED);
	care.is_changed = false;
	wait_for(dead, BELIEF_LEAVING);
	cr_expect(care.is_changed, "a set without it is to be sent");
	cr_expect_eq(verdicts.probes[EVIDENCE_PROBE_REFUSED], 1, "once is enough");
	cr_expect_null(census_find(&care.census, backends[1]));
	cr_expect_eq(belief_state(living), BELIEF_UNLISTED);
	/* By a request, too. */
	care.is_changed = false;
	weigh(living, EVIDENCE_CONNECT_REFUSED);
	wait_for(living, BELIEF_LEAVING);
	cr_expect(care.is_changed);
	cr_expect_eq(care.census.count, 0);
	cr_expect_not(care.is_distrusting);
	struct sockaddr_in unused;
	sockets[1] = peer_listen(&unused, false);
}

Test(care, for_so_long_only)
{
	settings.vanish_hold_ms = 50;
	begin();
	struct belief *one = add(true);
	take(1);
	wait_for(one, BELIEF_LIVE);
	take(0);
	cr_expect_eq(belief_state(one), BELIEF_UNLISTED);
	wait_for(one, BELIEF_LEAVING);
	cr_expect_eq(belief_reason(one), EVIDENCE_UNLISTED_TOO_LONG);
}

Test(care, a_probe_has_less_time_where_answers_are_fast)
{
	begin();
	struct belief *one = add(true);
	struct probe_plan plan = {0};
	take(1);
	wait_for(one, BELIEF_LIVE);
	struct ward *ward = census_find(&care.census, backends[0]);
	cr_assert(care_on_turn(ward, &plan, clock_coarse_ms()));
	cr_expect_eq(plan.timeout_ms, 1000);
	atomic_store(&verdicts.late_us, 50);
	cr_assert(care_on_turn(ward, &plan, clock_coarse_ms()));
	cr_expect_lt(plan.timeout_ms, 1000);
	cr_expect_geq(plan.timeout_ms, 100);
	atomic_store(&verdicts.late_us, 10000000);
	cr_assert(care_on_turn(ward, &plan, clock_coarse_ms()));
	cr_expect_eq(plan.timeout_ms, 1000);
}
