/* evidence - what can be learned of an endpoint, and what kind of thing it is. One table: logs, metrics and
 * the explanation of a choice have their words from it. */
#ifndef HEALTH_EVIDENCE_H
#define HEALTH_EVIDENCE_H

enum evidence_kind {
	EVIDENCE_KIND_NOTHING, /* says nothing of the endpoint */
	EVIDENCE_KIND_GOOD,    /* it works */
	EVIDENCE_KIND_ERROR,   /* it answers badly: some of these in a row eject it */
	EVIDENCE_KIND_SILENCE, /* it does not answer, while others do: suspect at once */
	EVIDENCE_KIND_GONE,    /* nobody is there: ejected at once */
	EVIDENCE_KIND_HINT     /* it should be looked at */
};

/* X(name, code, kind, rank). Of endpoints that are all ejected, those for evidence of the lowest rank are the
 * least bad. */
#define EVIDENCES(X)                                                                                         \
	X(NONE, "none", NOTHING, 0)                                                                          \
	/* traffic: the client left, or another attempt was faster */                                        \
	X(CANCELLED, "cancelled", NOTHING, 0)                                                                \
	/* it has as many connections as it may have, or we lack what a connection takes */                  \
	X(NOT_TRIED, "not_tried", NOTHING, 0)                                                                \
	X(ANSWERED, "answered", GOOD, 0) /* a complete response, below 500 */                                \
	X(STATUS_5XX, "status_5xx", ERROR, 1)                                                                \
	X(CUT, "response_cut", ERROR, 2)                                                                     \
	X(MALFORMED, "bad_response", ERROR, 2)                                                               \
	/* without an answer, on a connection of its own; on a pooled one it is IDLE_CLOSED */               \
	X(CLOSED, "closed", ERROR, 2)                                                                        \
	X(RESET, "reset", ERROR, 2)                                                                          \
	X(RESPONSE_TIMEOUT, "response_timeout", ERROR, 3)                                                    \
	X(SILENT, "silent", SILENCE, 3) /* its oldest request is unanswered, while others answer */          \
	X(CONNECT_LATE, "connect_late", SILENCE, 4)                                                          \
	X(CONNECT_TIMEOUT, "connect_timeout", SILENCE, 4)                                                    \
	X(CONNECT_FAILED, "connect_failed", GONE, 4)                                                         \
	X(CONNECT_REFUSED, "connect_refused", GONE, 4)                                                       \
	X(IDLE_CLOSED, "idle_closed", HINT, 0) /* it ended a pooled connection */                            \
	/* the registry, and time */                                                                         \
	X(VANISHED, "vanished", NOTHING, 0) /* with so many others that it is not believed */                \
	X(REMOVED, "removed", NOTHING, 0)                                                                    \
	X(EJECTION_OVER, "ejection_over", NOTHING, 0)                                                        \
	X(UNLISTED_TOO_LONG, "unlisted_too_long", NOTHING, 0)                                                \
	/* probes */                                                                                         \
	X(PROBE_PASSED, "probe_passed", GOOD, 0)                                                             \
	X(NOT_PROBED, "not_probed", GOOD, 0)	  /* its time is over, and probing is off */                 \
	X(PROBE_STATUS, "probe_status", ERROR, 1) /* 500 and above */                                        \
	X(PROBE_CLOSED, "probe_closed", ERROR, 2) /* no whole, well-formed answer */                         \
	X(PROBE_TIMEOUT, "probe_timeout", SILENCE, 3)                                                        \
	X(PROBE_UNREACHABLE, "probe_unreachable", GONE, 4)                                                   \
	X(PROBE_REFUSED, "probe_refused", GONE, 4)

#define EVIDENCE_ENUM(name, code, kind, rank) EVIDENCE_##name,
enum evidence { EVIDENCES(EVIDENCE_ENUM) EVIDENCE_COUNT };
#undef EVIDENCE_ENUM

struct evidence_row {
	const char *code;
	enum evidence_kind kind;
	unsigned rank;
};

/* Its row. Static. */
const struct evidence_row *evidence_row(enum evidence evidence);

/* Is it from a probe of our own? */
static inline int evidence_is_probe(enum evidence evidence)
{
	return evidence >= EVIDENCE_PROBE_PASSED;
}

#endif
