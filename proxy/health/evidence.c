/* evidence - the table of what can be learned of an endpoint. Owns nothing. */
#include "health/evidence.h"

#define EVIDENCE_ROW(name, code_text, of_kind, of_rank)                                                      \
	[EVIDENCE_##name] = {.code = (code_text), .kind = EVIDENCE_KIND_##of_kind, .rank = (of_rank)},

static const struct evidence_row evidence_rows[EVIDENCE_COUNT] = {EVIDENCES(EVIDENCE_ROW)};

const struct evidence_row *evidence_row(enum evidence evidence)
{
	return &evidence_rows[evidence];
}
