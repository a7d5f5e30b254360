/* ward - one endpoint in the checker's care: what the registry says of it, and when it is looked at next.
 * Owned by its census; the rounds keep their notes in it. */
#ifndef CHECKER_WARD_H
#define CHECKER_WARD_H

#include "balance/backend.h"
#include "base/wheel.h"
#include "checker/pacing.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct census;
struct probe;
struct rounds;

/* Where it stands with the registry. */
enum ward_place {
	WARD_LISTED,
	WARD_UNLISTED, /* it is not listed, and serves on: so many have gone that this is not believed */
	WARD_DEPARTED, /* it is not listed, which was believed: remembered for a while */
	WARD_PLACE_COUNT
};

struct ward {
	struct census *census;
	struct backend *backend; /* with a reference */
	enum ward_place place;
	uint32_t weight;      /* as it was listed last */
	uint64_t departed_ms; /* UNLISTED, DEPARTED: since then */
	bool was_in_use;      /* did it take requests then? */
	uint64_t wait_ms;     /* it has come and gone too often: not looked at for so long after it came */

	/* of the rounds: */
	struct rounds *rounds;
	TAILQ_ENTRY(ward) line;
	struct wheel_timer timer;
	struct probe *probe;
	uint64_t begun_ms;     /* when the last probe began */
	uint32_t failures;     /* of probes, in a row */
	bool is_in_line;       /* for a probe */
	enum pacing_kind kind; /* of the line, or of the probe */
	bool is_wanted_again;  /* it was to be looked at once more while it was */
};

TAILQ_HEAD(ward_line, ward);

#endif
