/* keeping - keeps the set of one watch on disk (see keeping.h). Owns its events, the path of the file, and a
 * reference to the set that is to be written next. */
#include "state/keeping.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "node/snapshot.h"
#include "state/state_disk.h"

#define KEEPING_MAGIC 0x6b656570U

#define WRITE_PAUSE_MS	1000
#define LAST_WRITE_MS	2000   /* what is left is given so long at the end */
#define LOSS_MS		600000 /* a set on disk outlives the loss of most of it for so long */
#define CLOCK_BEHIND_MS 60000  /* clocks are put right by less than this while a machine is up */

/* ---- What is on disk ------------------------------------------------------------------------ */

/* The set of a file's bytes, with its age; NULL: `why` says why not. */
static struct srsd_snapshot *judge(
	const struct srsd_keeping *keeping, const char *text, size_t bytes, struct srsd_error *error)
{
	uint64_t max_stale_ms = keeping->srsd->max_stale_ms;
	struct srsd_snapshot *snapshot = NULL;
	int64_t confirmed_ms = 0;
	int64_t age_ms;
	const char *why = NULL;

	if (srsd_state_file_read(&keeping->subject, text, bytes, &snapshot, &confirmed_ms, &why) !=
		SRSD_STATE_GOOD) {
		srsd_fail(error, SRSD_SYSTEM, "%s", why != NULL ? why : "there is no memory for it");
		return NULL;
	}
	age_ms = srsd_wall_clock_ms() - confirmed_ms;
	if (age_ms < -CLOCK_BEHIND_MS)
		srsd_fail(error, SRSD_SYSTEM, "it is of the future: look at this machine's clock");
	else if (max_stale_ms > 0 && age_ms > 0 && (uint64_t)age_ms > max_stale_ms)
		srsd_fail(error, SRSD_SYSTEM,
			"it is %" PRId64 " s old, which is more than the limit of %" PRIu64 " s",
			age_ms / 1000, max_stale_ms / 1000);
	if (error->text[0] != '\0')
		srsd_snapshot_unref(&snapshot);
	else
		srsd_snapshot_set_age(snapshot, age_ms > 0 ? (uint64_t)age_ms : 0);
	return snapshot;
}

/* The set on disk, with its age, or NULL. Then `error` says why not, and nothing where there is none. */
static struct srsd_snapshot *read_kept(const struct srsd_keeping *keeping, struct srsd_error *error)
{
	struct srsd_snapshot *snapshot = NULL;
	size_t bytes = 0;
	char *text = srsd_state_disk_read(keeping->path, &bytes, error);

	if (text != NULL)
		snapshot = judge(keeping, text, bytes, error);
	free(text);
	return snapshot;
}

/* ---- What is worth keeping ------------------------------------------------------------------- */

static void note_large(struct srsd_keeping *keeping, size_t count, uint64_t age_ms)
{
	keeping->large_count = count;
	keeping->large_ms = (int64_t)srsd_now_ms() - (int64_t)age_ms;
}

/* Whoever starts while most are missing has to know what an earlier process held. */
static void learn_large(struct srsd_keeping *keeping)
{
	struct srsd_error error = {""};
	struct srsd_snapshot *kept = read_kept(keeping, &error);

	keeping->is_large_known = true;
	if (kept == NULL)
		return;
	note_large(keeping, srsd_snapshot_count(kept), srsd_snapshot_age_ms(kept));
	srsd_snapshot_unref(&kept);
}

/* Has most of the set gone, and not long ago? Then what is on disk is worth more: services come back, also
 * to a ZooKeeper that lost them. */
static bool is_loss(struct srsd_keeping *keeping, size_t count)
{
	bool was_losing = keeping->is_losing;

	if (!keeping->is_large_known)
		learn_large(keeping);
	if (count >= keeping->large_count || (int64_t)srsd_now_ms() - keeping->large_ms > LOSS_MS)
		note_large(keeping, count, 0);
	keeping->is_losing = 2 * count < keeping->large_count;
	if (keeping->is_losing && !was_losing)
		srsd_log(&keeping->srsd->logger, SRSD_LOG_WARNING,
			"%s has lost most of its members, %zu of %zu are left: the set on disk stays as it "
			"is, for %d minutes or until they are back",
			keeping->subject.path, count, keeping->large_count, LOSS_MS / 60000);
	return keeping->is_losing;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void plan_write(struct srsd_keeping *keeping)
{
	uint64_t since_ms = srsd_now_ms() - keeping->begun_ms;
	bool is_soon = keeping->begun_ms == 0 || since_ms >= WRITE_PAUSE_MS;
	struct timeval pause = srsd_timeval_ms(is_soon ? 0 : (uint32_t)(WRITE_PAUSE_MS - since_ms));

	if (keeping->write != NULL || event_pending(&keeping->pause, EV_TIMEOUT, NULL))
		return;
	if (event_add(&keeping->pause, &pause) != 0)
		event_active(&keeping->pause, EV_TIMEOUT, 1);
}

static void say_written(struct srsd_keeping *keeping, int fault, const char *step)
{
	if (fault != 0 && !keeping->is_failing)
		srsd_log(&keeping->srsd->logger, SRSD_LOG_ERROR,
			"the set of %s is not kept in %s (%s: %s): trying on at each change",
			keeping->subject.path, keeping->path, step, strerrordesc_np(fault));
	if (fault == 0 && keeping->is_failing)
		srsd_log(&keeping->srsd->logger, SRSD_LOG_INFO, "the set of %s is kept in %s again",
			keeping->subject.path, keeping->path);
	keeping->is_failing = fault != 0;
}

static void on_written(void *owner, int fault, const char *step)
{
	struct srsd_keeping *keeping = SRSD_CAST(struct srsd_keeping, owner, KEEPING_MAGIC);
	struct srsd *srsd = keeping->srsd;

	srsd_enter(srsd);
	keeping->write = NULL;
	say_written(keeping, fault, step);
	if (keeping->snapshot != NULL)
		plan_write(keeping);
	srsd_leave(srsd);
}

/* What is to be written is written; without memory it stays for the next time. */
static void write_now(struct srsd_keeping *keeping)
{
	size_t bytes;
	char *text;

	if (is_loss(keeping, srsd_snapshot_count(keeping->snapshot))) {
		srsd_snapshot_unref(&keeping->snapshot);
		return;
	}
	text = srsd_state_file_write(&keeping->subject, keeping->snapshot, keeping->confirmed_ms, &bytes);
	keeping->begun_ms = srsd_now_ms();
	if (text != NULL)
		keeping->write = srsd_state_write_begin(
			keeping->srsd->base, keeping->path, text, bytes, on_written, keeping);
	if (keeping->write == NULL) {
		say_written(keeping, ENOMEM, "begin");
		return;
	}
	srsd_snapshot_unref(&keeping->snapshot);
}

static void on_pause(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_keeping *keeping = SRSD_CAST(struct srsd_keeping, arg, KEEPING_MAGIC);
	struct srsd *srsd = keeping->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	if (keeping->snapshot != NULL)
		write_now(keeping);
	srsd_leave(srsd);
}

void srsd_keeping_confirm(struct srsd_keeping *keeping, struct srsd_snapshot *snapshot)
{
	if (keeping->path == NULL)
		return;
	event_del(&keeping->wait);
	srsd_snapshot_unref(&keeping->snapshot);
	keeping->snapshot = srsd_snapshot_ref(snapshot);
	keeping->confirmed_ms = srsd_wall_clock_ms();
	plan_write(keeping);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void restore(struct srsd_keeping *keeping)
{
	const struct srsd_logger *logger = &keeping->srsd->logger;
	struct srsd_error error = {""};
	struct srsd_snapshot *snapshot = read_kept(keeping, &error);

	if (snapshot != NULL)
		srsd_log(logger, SRSD_LOG_WARNING,
			"ZooKeeper is not heard of %s: the last known set is used, %zu members, %" PRIu64
			" s old",
			keeping->subject.path, srsd_snapshot_count(snapshot),
			srsd_snapshot_age_ms(snapshot) / 1000);
	else if (error.text[0] != '\0')
		srsd_log(logger, SRSD_LOG_ERROR, "%s is not used: %s", keeping->path, error.text);
	else
		srsd_log(logger, SRSD_LOG_WARNING,
			"ZooKeeper is not heard of %s, and no set of it is kept: waiting on",
			keeping->subject.path);
	if (snapshot != NULL)
		keeping->on_found(keeping->owner, snapshot);
	srsd_snapshot_unref(&snapshot);
}

static void on_wait(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_keeping *keeping = SRSD_CAST(struct srsd_keeping, arg, KEEPING_MAGIC);
	struct srsd *srsd = keeping->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	restore(keeping);
	srsd_leave(srsd);
}

/* ---- Life ------------------------------------------------------------------------------------ */

bool srsd_keeping_start(struct srsd_keeping *keeping, struct srsd *srsd, const char *path,
	const struct srsd_read_options *options, srsd_keeping_fn *on_found, void *owner)
{
	struct timeval wait = srsd_timeval_ms(srsd->state_wait_ms);
	char name[SRSD_STATE_NAME_MAX];

	if (srsd->state_directory == NULL)
		return true;
	*keeping = (struct srsd_keeping){.magic = KEEPING_MAGIC,
		.srsd = srsd,
		.subject = {.servers = srsd->servers, .path = path, .options = options},
		.on_found = on_found,
		.owner = owner};
	event_assign(&keeping->wait, srsd->base, -1, EV_TIMEOUT, on_wait, keeping);
	event_assign(&keeping->pause, srsd->base, -1, EV_TIMEOUT, on_pause, keeping);
	if (!srsd_state_file_name(&keeping->subject, name) ||
		asprintf(&keeping->path, "%s/%s", srsd->state_directory, name) < 0)
		keeping->path = NULL;
	/* A timer counts from the beginning of the loop's turn, in which the user's callbacks may have taken
	 * long. */
	(void)event_base_update_cache_time(srsd->base);
	if (keeping->path != NULL && event_add(&keeping->wait, &wait) == 0)
		return true;
	srsd_keeping_end(keeping);
	return false;
}

/* The process may end as soon as the manager is closed: all its watches together wait for so long then. */
static uint32_t last_wait_ms(const struct srsd_keeping *keeping)
{
	struct srsd *srsd = keeping->srsd;
	uint64_t now_ms = srsd_now_ms();

	if (!srsd->is_closing)
		return 0;
	if (srsd->last_writes_ms == 0)
		srsd->last_writes_ms = now_ms + LAST_WRITE_MS;
	return srsd->last_writes_ms > now_ms ? (uint32_t)(srsd->last_writes_ms - now_ms) : 0;
}

void srsd_keeping_end(struct srsd_keeping *keeping)
{
	if (keeping->path == NULL)
		return;
	event_del(&keeping->wait);
	event_del(&keeping->pause);
	/* Two writes at a time could end in the wrong order. */
	if (srsd_state_write_let_go(&keeping->write, last_wait_ms(keeping)) && keeping->snapshot != NULL)
		write_now(keeping);
	(void)srsd_state_write_let_go(&keeping->write, last_wait_ms(keeping));
	srsd_snapshot_unref(&keeping->snapshot);
	free(keeping->path);
	keeping->path = NULL;
}
