/* diagnosis.h - what is wrong with a label, from what was found out about its nodes. Pure: evidence in,
 * findings out. */
#ifndef COMMAND_DOCTOR_DIAGNOSIS_H
#define COMMAND_DOCTOR_DIAGNOSIS_H

#include "srsd/command/doctor/clients.h"
#include "srsd/command/doctor/contact.h"

/* Kind, its word in the output and for --ignore, what it means (for --help). In the order of the report. */
#define FINDINGS(X)                                                                                          \
	X(EMPTY, "empty", "nobody is registered under the label")                                            \
	X(CROWDED, "crowded", "nearly as many nodes as --children-max, or more")                             \
	X(SLOW_BOUNDS, "slow-bounds", "the server allows no session as short as --slow")                     \
	X(UNUSABLE, "unusable", "the node's name or data is no address: it is skipped")                      \
	X(DUPLICATE, "duplicate", "the same address as another node's")                                      \
	X(PERSISTENT, "persistent", "no session owns the node: nobody ever removes it")                      \
	X(ABANDONED, "abandoned", "its owner's session has no connection to any server")                     \
	X(FOREIGN, "foreign", "its owner is connected from another host")                                    \
	X(SLOW_SESSION, "slow-session", "its session's timeout is longer than --slow")                       \
	X(NOT_ANSWERING, "not-answering", "no connection to the address can be made")

#define FINDING_ENUM(kind, word, meaning) FINDING_##kind,
enum finding_kind { FINDINGS(FINDING_ENUM) FINDING_KINDS };

/* The word of a kind, and what it means. Static. */
const char *finding_word(enum finding_kind kind);
const char *finding_meaning(enum finding_kind kind);

/* The kind whose word is the first `bytes` of `word`. False: there is none. */
bool finding_parse(const char *word, size_t bytes, enum finding_kind *out);

#define FINDING_TEXT_MAX 400

struct finding {
	enum finding_kind kind;
	size_t subject; /* index of the node; FINDING_OF_LABEL */
	char text[FINDING_TEXT_MAX];
};

#define FINDING_OF_LABEL SIZE_MAX

/* A node, and what was found out about it. Pointers are borrowed. */
struct subject {
	const char *name;
	const char *fault;	     /* why it cannot be used; NULL: it can */
	struct srsd_address address; /* unless there is a fault */
	bool is_read;		     /* so the owner is known */
	int64_t owner;		     /* a session; else as ZooKeeper has it in ephemeralOwner: 0 persistent */
	int64_t created_ms;	     /* wall clock */
	const struct contact *contact; /* NULL: not tried */
};

struct evidence {
	const struct subject *subjects;
	size_t count;
	size_t children_max;
	uint32_t slow_ms;	       /* a session timeout above that is slow */
	uint32_t session_least_ms;     /* that the server allows; 0: not known */
	const struct clients *clients; /* sorted */
	bool are_clients_complete;     /* of every server of the ensemble */
	unsigned ignored;	       /* a bit for each kind */
};

struct findings {
	struct finding *items; /* owned; in the order of kinds, then of nodes */
	size_t count;
	size_t room;
};

/* False: no memory; findings_clear() is due in any case. */
bool diagnose(const struct evidence *evidence, struct findings *findings);
void findings_clear(struct findings *findings);

#endif
