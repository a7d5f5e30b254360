/* belief_test - evidence moves what is believed of an endpoint along its edges, within the service's rules.
 */
#include "health/belief.h"

#include <criterion/criterion.h>

#define ENDPOINTS 4

static struct verdicts verdicts;
static struct belief beliefs[ENDPOINTS];
static int doubts;
static struct belief *doubted;

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	doubts++;
	doubted = belief;
}

static void start(void)
{
	const struct belief_rules rules = {
		.errors_max = 3, .ejected_share = 50, .ejection_ms = 1000, .ejection_max_ms = 8000};
	verdicts_init(&verdicts, "s", &rules);
	verdicts.on_doubt = on_doubt;
	verdicts_set_count(&verdicts, ENDPOINTS);
	doubts = 0;
	for (int i = 0; i < ENDPOINTS; i++) {
		belief_init(&beliefs[i], "a:1", &verdicts, 1000);
		belief_weigh(&beliefs[i], EVIDENCE_PROBE_PASSED, 1000, 1000);
		cr_assert_eq(belief_state(&beliefs[i]), BELIEF_LIVE);
	}
}

static void finish(void)
{
	for (int i = 0; i < ENDPOINTS; i++)
		belief_finish(&beliefs[i]);
	for (int i = 0; i < BELIEF_STATE_COUNT; i++)
		cr_expect_eq(verdicts.in_state[i], 0, "%u are left in state %d", verdicts.in_state[i], i);
	cr_expect_eq(verdicts.softly_out, 0);
}

TestSuite(belief, .init = start, .fini = finish);

static void weigh(int endpoint, enum evidence evidence, uint64_t now_ms)
{
	belief_weigh(&beliefs[endpoint], evidence, now_ms, now_ms);
}

#define EXPECT_STATE(endpoint, state)                                                                        \
	cr_expect_eq(belief_state(&beliefs[endpoint]), BELIEF_##state, "it is %s",                           \
		belief_state_text(belief_state(&beliefs[endpoint])))

Test(belief, one_refused_connect_is_enough)
{
	uint32_t generation = verdicts.generation;
	weigh(0, EVIDENCE_CONNECT_REFUSED, 2000);
	EXPECT_STATE(0, EJECTED);
	cr_expect_neq(verdicts.generation, generation, "rosters look again");
	cr_expect_eq(doubts, 1);
	cr_expect_eq(doubted, &beliefs[0]);
	cr_expect_eq(verdicts.softly_out, 0, "it is not one of those that may work");
	cr_expect_eq(beliefs[0].until_ms, 2000 + BELIEF_GONE_MS);
	cr_expect_eq(belief_since_ms(&beliefs[0]), 2000);
	cr_expect_eq(verdicts.entered[BELIEF_EJECTED][EVIDENCE_CONNECT_REFUSED], 1);
}

Test(belief, all_may_be_gone)
{
	for (int i = 0; i < ENDPOINTS; i++) {
		weigh(i, EVIDENCE_CONNECT_REFUSED, 2000);
		EXPECT_STATE(i, EJECTED);
	}
}

Test(belief, errors_in_a_row_eject)
{
	weigh(0, EVIDENCE_STATUS_5XX, 2000);
	weigh(0, EVIDENCE_RESET, 2000);
	weigh(0, EVIDENCE_ANSWERED, 2000);
	weigh(0, EVIDENCE_STATUS_5XX, 2000);
	weigh(0, EVIDENCE_CUT, 2000);
	EXPECT_STATE(0, LIVE);
	weigh(0, EVIDENCE_CLOSED, 2000);
	EXPECT_STATE(0, EJECTED);
	cr_expect_eq(verdicts.softly_out, 1);
	cr_expect_eq(belief_reason(&beliefs[0]), EVIDENCE_CLOSED);
}

Test(belief, each_ejection_is_longer_and_one_error_is_enough_after_it)
{
	uint64_t now_ms = 2000;
	for (int i = 0; i < 3; i++)
		weigh(0, EVIDENCE_STATUS_5XX, now_ms);
	for (uint64_t wait_ms = 1000; wait_ms <= 8000; wait_ms *= 2) {
		EXPECT_STATE(0, EJECTED);
		cr_expect_eq(beliefs[0].until_ms, now_ms + wait_ms);
		now_ms += wait_ms;
		weigh(0, EVIDENCE_EJECTION_OVER, now_ms);
		EXPECT_STATE(0, PROBING);
		cr_expect_eq(belief_reason(&beliefs[0]), EVIDENCE_STATUS_5XX);
		weigh(0, EVIDENCE_PROBE_PASSED, now_ms);
		EXPECT_STATE(0, LIVE);
		weigh(0, EVIDENCE_STATUS_5XX, now_ms);
	}
	cr_expect_eq(beliefs[0].until_ms, now_ms + 8000, "no longer than the longest");
	weigh(0, EVIDENCE_PROBE_PASSED, now_ms);
	now_ms += 8000;
	for (int i = 0; i < 3; i++)
		weigh(0, EVIDENCE_STATUS_5XX, now_ms);
	cr_expect_eq(beliefs[0].until_ms, now_ms + 1000, "it worked for long enough");
}

Test(belief, a_share_of_the_set_stays_in)
{
	for (int i = 0; i < ENDPOINTS; i++)
		for (int e = 0; e < 4; e++)
			weigh(i, EVIDENCE_STATUS_5XX, 2000);
	EXPECT_STATE(0, EJECTED);
	EXPECT_STATE(1, EJECTED);
	EXPECT_STATE(2, LIVE);
	EXPECT_STATE(3, LIVE);
	cr_expect_eq(verdicts.softly_out, 2);
	cr_expect_geq(verdicts.denied, 2);
	weigh(0, EVIDENCE_PROBE_PASSED, 3000);
	weigh(2, EVIDENCE_STATUS_5XX, 3000);
	EXPECT_STATE(2, EJECTED);
	weigh(3, EVIDENCE_SILENT, 3000);
	EXPECT_STATE(3, LIVE);
}

Test(belief, of_two_one_may_be_out_and_of_one_none)
{
	verdicts_set_count(&verdicts, 2);
	weigh(0, EVIDENCE_SILENT, 2000);
	weigh(1, EVIDENCE_SILENT, 2000);
	EXPECT_STATE(0, SUSPECT);
	EXPECT_STATE(1, LIVE);
	weigh(0, EVIDENCE_PROBE_PASSED, 2000);
	verdicts_set_count(&verdicts, 1);
	weigh(0, EVIDENCE_SILENT, 2000);
	EXPECT_STATE(0, LIVE);
}

Test(belief, only_a_probe_leads_back_from_silence)
{
	weigh(0, EVIDENCE_SILENT, 2000);
	EXPECT_STATE(0, SUSPECT);
	cr_expect_eq(doubts, 1);
	weigh(0, EVIDENCE_ANSWERED, 2001);
	weigh(0, EVIDENCE_SILENT, 2001);
	EXPECT_STATE(0, SUSPECT);
	weigh(0, EVIDENCE_PROBE_TIMEOUT, 2001);
	EXPECT_STATE(0, EJECTED);
	cr_expect_eq(verdicts.softly_out, 1);
	weigh(0, EVIDENCE_EJECTION_OVER, 4000);
	weigh(0, EVIDENCE_PROBE_REFUSED, 4000);
	EXPECT_STATE(0, EJECTED);
	cr_expect_eq(verdicts.softly_out, 0, "it is known to be gone now");
}

Test(belief, what_began_before_says_nothing)
{
	weigh(0, EVIDENCE_SILENT, 2000);
	weigh(0, EVIDENCE_PROBE_PASSED, 3000);
	for (int i = 0; i < 5; i++)
		belief_weigh(&beliefs[0], EVIDENCE_RESPONSE_TIMEOUT, 1999, 4000);
	belief_weigh(&beliefs[0], EVIDENCE_SILENT, 1999, 4000);
	EXPECT_STATE(0, LIVE);
	cr_expect(!belief_wants_answers(&beliefs[0]));
	belief_weigh(&beliefs[0], EVIDENCE_CONNECT_REFUSED, 1999, 4000);
	EXPECT_STATE(0, EJECTED);
}

Test(belief, hints_are_passed_on_now_and_then)
{
	for (uint64_t now_ms = 2000; now_ms < 2000 + 2 * BELIEF_DOUBT_MS; now_ms++)
		weigh(0, EVIDENCE_IDLE_CLOSED, now_ms);
	cr_expect_eq(doubts, 2);
	EXPECT_STATE(0, LIVE);
}

Test(belief, vanished_ones_serve_until_a_probe_fails)
{
	for (int i = 0; i < ENDPOINTS; i++)
		weigh(i, EVIDENCE_VANISHED, 2000);
	EXPECT_STATE(0, UNLISTED);
	weigh(0, EVIDENCE_RESET, 2001);
	EXPECT_STATE(0, UNLISTED);
	cr_expect_eq(doubts, 1);
	weigh(0, EVIDENCE_PROBE_TIMEOUT, 2002);
	EXPECT_STATE(0, LEAVING);
	weigh(1, EVIDENCE_CONNECT_REFUSED, 2002);
	EXPECT_STATE(1, LEAVING);
	weigh(2, EVIDENCE_UNLISTED_TOO_LONG, 2002);
	EXPECT_STATE(2, LEAVING);
	weigh(3, EVIDENCE_REMOVED, 2002);
	EXPECT_STATE(3, LEAVING);
	weigh(3, EVIDENCE_PROBE_PASSED, 2003);
	EXPECT_STATE(3, LEAVING);
}

Test(belief, without_anyone_to_look_nobody_is_put_out)
{
	verdicts.on_doubt = NULL;
	weigh(0, EVIDENCE_CONNECT_REFUSED, 2000);
	weigh(0, EVIDENCE_SILENT, 2000);
	EXPECT_STATE(0, LIVE);
}

/* Ejected for `evidence`, and probed in vain for so many times: how long the last ejection is. */
static uint64_t last_wait_ms(enum evidence evidence, enum evidence probe, int times)
{
	uint64_t now_ms = 2000;
	weigh(0, evidence, now_ms);
	for (int i = 0; i < times; i++) {
		now_ms = beliefs[0].until_ms;
		weigh(0, EVIDENCE_EJECTION_OVER, now_ms);
		EXPECT_STATE(0, PROBING);
		weigh(0, probe, now_ms);
		EXPECT_STATE(0, EJECTED);
	}
	return beliefs[0].until_ms - now_ms;
}

Test(belief, who_is_gone_is_looked_for_soon_and_then_seldom)
{
	cr_expect_eq(last_wait_ms(EVIDENCE_CONNECT_REFUSED, EVIDENCE_PROBE_REFUSED, BELIEF_GONE_SOON - 1),
		BELIEF_GONE_MS);
	cr_expect_eq(last_wait_ms(EVIDENCE_CONNECT_REFUSED, EVIDENCE_PROBE_REFUSED, 10), BELIEF_GONE_MAX_MS);
}

Test(belief, who_is_probed_in_vain_need_not_wait_for_the_longest_time)
{
	verdicts.rules.ejection_max_ms = 60000;
	weigh(0, EVIDENCE_SILENT, 2000);
	cr_expect_eq(
		last_wait_ms(EVIDENCE_PROBE_TIMEOUT, EVIDENCE_PROBE_TIMEOUT, 10), BELIEF_PROBED_MAX * 1000);
}
