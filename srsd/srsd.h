/* srsd.h - libsrsd: service registration and service discovery on ZooKeeper.
 *
 * A service registers under a label by holding an ephemeral node that is named by its address:
 *
 *     <registry>/<label>/<host>:<port>        for example /zk_registry/data/tornado_app/192.168.149.134:8888
 *
 * The node has empty data, or says there what its share of the traffic is and where it runs; when its owner
 * dies, ZooKeeper removes it. Whoever wants the service watches the label's node and reads the addresses off
 * the names of its children.
 *
 * Two ways to use it:
 *   - evented: srsd_open() on your event_base, then srsd_watch(), srsd_discover(), srsd_register(). Nothing
 *     blocks but srsd_close() (see there), and every callback comes from your event loop. Use one thread for
 *     an event_base and for everything opened on it.
 *   - blocking: srsd_discover_wait() and srsd_register_hold(), for programs without an event loop.
 *
 * A manager, and a hold, is of the process that made it: one that is forked (daemon() forks, too) must leave
 * it alone, and make its own. A program that is executed inherits none of the library's descriptors.
 *
 * Managers in different threads do not know of each other. (The ZooKeeper client writes its own log lines
 * into one static buffer: with several managers in several threads, SRSD_LOG_DEBUG lines may come garbled.)
 *
 * The library prints nothing; what it has to say goes to the log callback. It touches no signal handler.
 * Text that is passed in is copied; text that is passed out is valid as its comment says.
 */
#ifndef SRSD_H
#define SRSD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SRSD_MUST_CHECK __attribute__((warn_unused_result))
#define SRSD_API	__attribute__((visibility("default")))
#else
#define SRSD_MUST_CHECK
#define SRSD_API
#endif

struct event_base;

/* ---- Results --------------------------------------------------------------------------------- */

enum srsd_status {
	SRSD_OK = 0,
	SRSD_BAD_ARGUMENT, /* the syntax of an argument is wrong; nothing was done */
	SRSD_NO_MEMORY,	   /* an allocation failed; nothing was done */
	SRSD_TIMEOUT,	   /* ZooKeeper did not answer within the given time */
	SRSD_NOT_FOUND,	   /* the label is known to have no address at this moment */
	SRSD_CONFLICT,	   /* the address is registered by another session that is alive */
	SRSD_DENIED,	   /* ZooKeeper refuses: no permission on a node of the path */
	SRSD_SYSTEM	   /* the operating system or ZooKeeper failed otherwise; see the text */
};

/* What went wrong and what to do about it, as one line without a newline. Empty when the call succeeded. */
struct srsd_error {
	char text[384];
};

/* The status as a short lower-case phrase ("bad argument"). Static text. Any thread. */
SRSD_API const char *srsd_status_text(enum srsd_status status);

/* The library's version, "MAJOR.MINOR.PATCH". Static text. Any thread. */
SRSD_API const char *srsd_version(void);

/* The version of the ZooKeeper client in use, "MAJOR.MINOR.PATCH". Static text. Any thread. */
SRSD_API const char *srsd_zookeeper_version(void);

/* ---- Addresses ------------------------------------------------------------------------------- */

#define SRSD_HOST_MAX	 253 /* bytes of a host name, RFC 1035 section 2.3.4 */
#define SRSD_ADDRESS_MAX (SRSD_HOST_MAX + sizeof ":65535")

enum srsd_host_kind { SRSD_HOST_IPV4, SRSD_HOST_IPV6, SRSD_HOST_NAME };

struct srsd_address {
	enum srsd_host_kind kind;
	uint16_t port;		      /* 1 to 65535 */
	char host[SRSD_HOST_MAX + 1]; /* as written, without the brackets of an IPv6 address */
};

/* Read "192.0.2.1:80", "[2001:db8::1]:80" or "name.example:80". Strict: four decimal parts without leading
 * zeros (a name whose last label is a number, "12" or "0x7f", is no name, RFC 1123 section 2.1), brackets
 * around every IPv6 address and no zone, labels of letters, digits, '-' and '_' of 1 to 63 bytes, a decimal
 * port of 1 to 65535 without sign, space or leading zero, and nothing after it. `text` needs no terminating
 * NUL. `why` may be NULL; else it gets a static phrase that names the fault. Returns SRSD_OK or
 * SRSD_BAD_ARGUMENT (then `out` is unchanged). Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_address_parse(
	const char *text, size_t bytes, struct srsd_address *out, const char **why);

/* Write `address` as srsd_address_parse() reads it, NUL-terminated, into `out` of SRSD_ADDRESS_MAX bytes
 * (or more). Returns the number of bytes without the NUL. Any thread. */
SRSD_API size_t srsd_address_format(const struct srsd_address *address, char *out, size_t size);

/* Is `label` usable as the name of a service: 1 to 255 bytes, no '/', no control byte, not "." or ".."?
 * `why` as above. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_label_check(const char *label, const char **why);

/* ---- Snapshots ------------------------------------------------------------------------------- */

/* An immutable set of endpoints: what a label held at one moment, sorted by name (bytewise), no name twice.
 * Reference-counted with atomics: hand a reference to another thread, and that thread owns it. */
struct srsd_snapshot;

/* One member. Consecutive snapshots of a watch share the endpoint of a node that stayed, so that equal
 * pointers mean the same endpoint. A node that was replaced by another one of its name has another owner or
 * time than before, also where one followed the other too closely for the set to be seen without it: a label
 * of up to 1,000 nodes is read once more then, within a second. Valid as long as a reference to a snapshot
 * that holds it. */
struct srsd_endpoint;

/* The name of its node, which is its address, "192.0.2.1:80", where the service's format says nothing else.
 */
SRSD_API const char *srsd_endpoint_name(const struct srsd_endpoint *endpoint);

/* Where it is, by its name or its data. */
SRSD_API void srsd_endpoint_address(const struct srsd_endpoint *endpoint, struct srsd_address *out);

/* How many requests it takes in relation to others, 0 to 65535: 1 where nothing was said, 0 for none. */
SRSD_API uint32_t srsd_endpoint_weight(const struct srsd_endpoint *endpoint);

/* Where it stands (a rack, a data centre); "" where nothing was said. Borrowed. */
SRSD_API const char *srsd_endpoint_zone(const struct srsd_endpoint *endpoint);

/* Additional labels: their number, the one of that index in the order of keys, and the value of a key (NULL:
 * none). Borrowed. */
SRSD_API size_t srsd_endpoint_label_count(const struct srsd_endpoint *endpoint);
SRSD_API void srsd_endpoint_label_at(
	const struct srsd_endpoint *endpoint, size_t index, const char **key, const char **value);
SRSD_API const char *srsd_endpoint_label(const struct srsd_endpoint *endpoint, const char *key);

/* The session that holds its node, and when that was made, in milliseconds since 1970 by ZooKeeper's clock.
 * 0 where the node was not read (see struct srsd_read_options; a node that replaced another one was); owner 0
 * with a time: a persistent node. */
SRSD_API int64_t srsd_endpoint_owner(const struct srsd_endpoint *endpoint);
SRSD_API int64_t srsd_endpoint_created_ms(const struct srsd_endpoint *endpoint);

/* Number of members. */
SRSD_API size_t srsd_snapshot_count(const struct srsd_snapshot *snapshot);

/* Member `index`, below the count. Borrowed. */
SRSD_API const struct srsd_endpoint *srsd_snapshot_at(const struct srsd_snapshot *snapshot, size_t index);

/* A member at random, each as likely as its weight is in relation to the others', or NULL when there is none
 * that takes requests. Borrowed. Any thread. */
SRSD_API const struct srsd_endpoint *srsd_snapshot_pick(const struct srsd_snapshot *snapshot);

/* 1 for a watch's first snapshot, one more at each change. */
SRSD_API uint64_t srsd_snapshot_version(const struct srsd_snapshot *snapshot);

/* Nodes under the label with a fault: their names are no address, their data says nothing that can be used.
 */
SRSD_API size_t srsd_snapshot_skipped(const struct srsd_snapshot *snapshot);

/* A node under the label that is no member. */
struct srsd_outsider {
	const char *name;
	const char *fault;  /* what is wrong with it; NULL: it says itself that it takes no part */
	int64_t owner;	    /* as srsd_endpoint_owner() */
	int64_t created_ms; /* as srsd_endpoint_created_ms() */
};

/* Their number, and the one of that index in the order of names. A node that was a member before a fault
 * stays a member, and stands here as well. Borrowed. */
SRSD_API size_t srsd_snapshot_outsider_count(const struct srsd_snapshot *snapshot);
SRSD_API const struct srsd_outsider *srsd_snapshot_outsider_at(
	const struct srsd_snapshot *snapshot, size_t index);

/* When it was read, in milliseconds of CLOCK_MONOTONIC. */
SRSD_API uint64_t srsd_snapshot_taken_ms(const struct srsd_snapshot *snapshot);

/* Where a set came from. */
enum srsd_source {
	SRSD_SOURCE_REGISTRY, /* ZooKeeper */
	SRSD_SOURCE_FILE,     /* the state directory: what ZooKeeper held when it was last asked */
	SRSD_SOURCE_NAMES     /* srsd_snapshot_from_names() */
};
SRSD_API enum srsd_source srsd_snapshot_source(const struct srsd_snapshot *snapshot);

/* The source as a lower-case word ("registry"). Static text. Any thread. */
SRSD_API const char *srsd_source_text(enum srsd_source source);

/* How long ago ZooKeeper held this set for certain, as far as was known when the snapshot was taken: see
 * srsd_watch_status() for what is known now. Any thread. */
SRSD_API uint64_t srsd_snapshot_age_ms(const struct srsd_snapshot *snapshot);

/* Another reference to the same snapshot. Any thread. */
SRSD_API struct srsd_snapshot *srsd_snapshot_ref(struct srsd_snapshot *snapshot);

/* Give a reference back and set the pointer to NULL; a NULL in it is fine. Any thread. */
SRSD_API void srsd_snapshot_unref(struct srsd_snapshot **snapshot);

/* Report how `after` differs from `before` (NULL: empty), in the order of names. Either callback may be
 * NULL. Endpoints are borrowed from the snapshots. Any thread. */
typedef void srsd_difference_fn(void *arg, const struct srsd_endpoint *endpoint);
SRSD_API void srsd_snapshot_difference(const struct srsd_snapshot *before, const struct srsd_snapshot *after,
	srsd_difference_fn *on_added, srsd_difference_fn *on_removed, void *arg);

/* A snapshot from a list of addresses, for sets that are not in ZooKeeper. `names` are `count` texts as
 * srsd_address_parse() reads them. Errors: SRSD_BAD_ARGUMENT names the first bad or double one in `error`,
 * SRSD_NO_MEMORY. The caller owns one reference. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_snapshot_from_names(
	const char *const *names, size_t count, struct srsd_snapshot **out, struct srsd_error *error);

/* ---- The manager ----------------------------------------------------------------------------- */

/* One session with ZooKeeper, and all that is watched and registered over it. */
struct srsd;

enum srsd_log_level { SRSD_LOG_ERROR, SRSD_LOG_WARNING, SRSD_LOG_INFO, SRSD_LOG_DEBUG };

/* One line without a newline; `text` is valid during the call. */
typedef void srsd_log_fn(void *arg, enum srsd_log_level level, const char *text);

enum srsd_state {
	SRSD_CONNECTING, /* no session yet */
	SRSD_CONNECTED,	 /* the session is up */
	SRSD_SUSPENDED,	 /* no server answers; the session may still be alive there */
	SRSD_EXPIRED	 /* the session is gone with its nodes; a new one is being made */
};

/* The state as a lower-case word ("connected"). Static text. Any thread. */
SRSD_API const char *srsd_state_text(enum srsd_state state);

/* Called at each change of state, from the event loop. */
typedef void srsd_state_fn(void *arg, enum srsd_state state);

struct srsd_config {
	const char *servers;	     /* "host:port,host:port,...[/chroot]" */
	const char *registry;	     /* path above the labels, absolute, below the chroot */
	uint32_t session_timeout_ms; /* 1000 to 600000; the server bounds it further (default 4 s to 40 s) */
	uint32_t children_max; /* a label with more nodes keeps its last set, with an error in the log */
	uint32_t data_max;     /* bytes; a node with more data is left out, with a warning in the log */
	const char *state_directory; /* NULL: none. Else an absolute path, see srsd_watch() */
	uint32_t state_wait_ms;	     /* for how long a watch waits for ZooKeeper before it reads its file */
	uint64_t max_stale_ms;	     /* an older file is not used; 0: however old it is */
	/* How often, about, a watch is read again and a registration looked at though nothing was heard; 1000
	 * or more. */
	uint32_t recheck_ms;
	const char *auth;	 /* "user:password" of ZooKeeper's digest scheme; NULL: none. See below */
	srsd_log_fn *log;	 /* NULL: silence */
	srsd_state_fn *on_state; /* NULL: nobody wants to know */
	void *arg;		 /* passed to both */
};

/* What srsd_open() uses where nothing else was said: 127.0.0.1:2181, /zk_registry/data, 10 s, 100,000 nodes,
 * 16 KiB, a minute; no state directory. Every member, in its order: C++ (20) takes it too. */
#define SRSD_CONFIG_DEFAULT                                                                                  \
	{                                                                                                    \
		.servers = "127.0.0.1:2181", .registry = "/zk_registry/data", .session_timeout_ms = 10000,   \
		.children_max = 100000, .data_max = 16384, .state_directory = NULL, .state_wait_ms = 1000,   \
		.max_stale_ms = 0, .recheck_ms = 60000, .auth = NULL, .log = NULL, .on_state = NULL,         \
		.arg = NULL                                                                                  \
	}

/* With `auth`, ZooKeeper is told who we are. A label that is made by a registration then belongs to that
 * user: whoever does not give the same user and password may read it, but neither register under it nor
 * remove what is registered there. (Nodes above it may be read by everyone, and may get labels from
 * everyone.) A label that is there already keeps its access list. Without `auth`, everyone may do everything
 * to what we make. ZooKeeper gets the password as it is: over a network, only through TLS. It never stands in
 * a message. */
#define SRSD_AUTH_MAX 256 /* bytes of user:password with its NUL */

/* Is that user:password, neither of them empty, on one line? Returns SRSD_OK or SRSD_BAD_ARGUMENT. `error`
 * may be NULL. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_auth_check(const char *auth, struct srsd_error *error);

/* Read one line user:password from a file, which only its owner may write, and only its owner and its group
 * read. `error` may be NULL. Errors (then `out` is unchanged): SRSD_BAD_ARGUMENT, SRSD_SYSTEM. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_auth_read(
	const char *path, char out[SRSD_AUTH_MAX], struct srsd_error *error);

/* Check the syntax of a list of servers with its chroot, or of a registry path. `error` may be NULL.
 * Returns SRSD_OK or SRSD_BAD_ARGUMENT. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_servers_check(const char *servers, struct srsd_error *error);
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_registry_check(const char *registry, struct srsd_error *error);

/* Is this the absolute path of a directory that this process may write to? `error` may be NULL. Returns
 * SRSD_OK or SRSD_BAD_ARGUMENT. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_state_directory_check(
	const char *directory, struct srsd_error *error);

/* Make a manager on `base`, which must outlive it, and start to connect. Succeeds without a server: it then
 * tries for ever, with jittered delays, and takes the servers in turn. The caller owns `*out`.
 * Errors: SRSD_BAD_ARGUMENT, SRSD_NO_MEMORY, SRSD_SYSTEM. Thread: the one that runs `base`.
 *
 * Servers given by host name are looked up as getaddrinfo() does, each name in a thread of its own that takes
 * no signal, so that the loop never waits for it: all of their addresses are used, names that fail or take
 * long are gone on without, and while no server answers they are looked up again, after 0.5 to 1 s and then
 * at growing intervals of up to 5 s. No session is lost by a server's moving to another address. Where all
 * servers are given as IP addresses there is no such thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_open(struct event_base *base, const struct srsd_config *config,
	struct srsd **out, struct srsd_error *error);

/* End the session, and with it the registrations; set the pointer to NULL. Watches and registrations that
 * were not ended die with it: do not touch them afterwards. The server removes their nodes a moment later:
 * who must know that one is gone calls srsd_deregister() and waits for its report first. No callback comes
 * any more. May be called inside a callback of this library. May block: a few milliseconds, up to 1.5 s when
 * the server hangs, and with a state directory up to 2 s for the last sets to be written. It does not wait
 * for the look-up of a name that hangs: the thread that does ends when the look-up returns, and frees what it
 * has. */
SRSD_API void srsd_close(struct srsd **srsd);

/* What `on_state` was told last; SRSD_CONNECTING before. Thread: the manager's. */
SRSD_API enum srsd_state srsd_current_state(const struct srsd *srsd);

/* How long the server keeps the session without a sign of life, in milliseconds: what was asked for, within
 * the server's bounds. 0 before there was a session. Thread: the manager's. */
SRSD_API uint32_t srsd_session_timeout_ms(const struct srsd *srsd);

/* The address of this machine that a route to the connected ZooKeeper server uses, with `port` for `*out`:
 * what to register where a service listens on every address. It is a loopback one where ZooKeeper is reached
 * over loopback (a server on this machine, a tunnel); no other machine reaches that. Errors:
 * SRSD_BAD_ARGUMENT (port 0), SRSD_NOT_FOUND (not connected now: ask again in `on_state`), SRSD_SYSTEM (an
 * IPv6 address that is valid on its link only, too). Thread: the manager's. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_local_address(
	struct srsd *srsd, uint16_t port, struct srsd_address *out, struct srsd_error *error);

/* ---- Discovery ------------------------------------------------------------------------------- */

/* What the nodes of a service look like. */
enum srsd_format {
	SRSD_FORMAT_NAME,	/* the name is the address; data is not read */
	SRSD_FORMAT_JSON,	/* the name is the address; data is empty or {"weight":2,"zone":"a"} */
	SRSD_FORMAT_SMARTSTACK, /* Nerve's JSON: {"host":"192.0.2.1","port":80,"weight":2} */
	SRSD_FORMAT_SERVERSET,	/* Twitter's JSON: {"serviceEndpoint":{"host":"192.0.2.1","port":80}} */
	SRSD_FORMAT_CURATOR	/* Apache Curator's service instance: {"address":"192.0.2.1","port":80} */
};

/* The format as a lower-case word ("smartstack"), and back (SRSD_BAD_ARGUMENT: there is none of that name).
 * Static text. Any thread. */
SRSD_API const char *srsd_format_text(enum srsd_format format);
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_format_parse(const char *text, enum srsd_format *out);

/* How the nodes of a label are read. Zero is the default: names only.
 *
 * What is read of a node, beside its name, is read once when it appears and again at each re-check
 * (recheck_ms), or when ZooKeeper has counted more changes than can be seen, as when it was removed and made
 * again between two readings; its data is not watched: the client sends every watch it has in one packet at
 * each reconnect, and one on each of many thousand nodes would not pass. */
struct srsd_read_options {
	enum srsd_format format;
	const char
		*port_name; /* serverset: the additional endpoint of that name; NULL: the service endpoint */
	const char *below;  /* the members are below the node of that name under the label's; NULL: below the
			     * label's own. One name, as srsd_label_check() has it */
	bool wants_origin;  /* read each node, whatever the format: its owner and time are known then */
};

struct srsd_watch;

/* A set was read for the first time, or it changed. `snapshot` is borrowed: take a reference to keep it.
 * A label whose node does not exist is an empty set, and is followed all the same. */
typedef void srsd_watch_fn(void *arg, struct srsd_snapshot *snapshot);

/* Follow a label until srsd_watch_end(). `options` may be NULL: names only; it is copied. `on_change` comes
 * at the first complete reading and at each change; not while ZooKeeper is away: the last set stands until it
 * is known better. The first changes after a quiet time are read at once; those of a burst are gathered, for
 * up to 15 ms where the label is small and up to 100 ms where it takes long to read. The caller owns `*out`.
 *
 * With a state directory the set is written there after each change (unless that takes away more than half
 * of the members: then only 10 minutes after all of them were there), once a second at most, and each time
 * that it was read again: replaced as a whole, with a checksum, by a thread of the library's own. A watch
 * that has heard nothing of its label for state_wait_ms takes the set from there, and `on_change` comes with
 * SRSD_SOURCE_FILE. When ZooKeeper is heard, what it holds replaces that, and `on_change` comes in any case;
 * endpoints that say the same stay the same. A file that is damaged, of another label, registry or format,
 * too old, or not this user's own is told of in the log and not used. Writing goes on when it fails, with one
 * line in the log. Errors: SRSD_BAD_ARGUMENT (label or options), SRSD_NO_MEMORY. Thread: the manager's. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_watch(struct srsd *srsd, const char *label,
	const struct srsd_read_options *options, srsd_watch_fn *on_change, void *arg, struct srsd_watch **out,
	struct srsd_error *error);

/* End it; set the pointer to NULL. No callback comes any more. May be called in its own callback. */
SRSD_API void srsd_watch_end(struct srsd_watch **watch);

/* The last set that was read, borrowed until the next turn of the loop; NULL before the first. */
SRSD_API struct srsd_snapshot *srsd_watch_current(const struct srsd_watch *watch);

/* What is known of a watch's label at this moment, beside its set. */
struct srsd_watch_status {
	bool is_known;		 /* there is a set; the next two say of it: */
	enum srsd_source source; /* SRSD_SOURCE_FILE until ZooKeeper was heard */
	uint64_t age_ms;	 /* since ZooKeeper held it for certain: was read and showed just this */
	bool is_unreadable;	 /* ZooKeeper answers, but not with the set: no permission, for one */
	bool is_over_limit;	 /* there are more than children_max nodes: the set is an older one */
	size_t nodes;		 /* under the label, at the last reading, over the limit too */
	size_t skipped;		 /* of these, with a fault; among them: */
	size_t names_too_long;
	size_t data_too_large; /* more than data_max */
};
SRSD_API void srsd_watch_status(const struct srsd_watch *watch, struct srsd_watch_status *out);

/* Outcome of one reading. `snapshot` is borrowed; NULL unless `status` is SRSD_OK. */
typedef void srsd_discover_fn(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot);

/* Read a label once; `options` as for srsd_watch(). The callback comes exactly once, never inside this call,
 * with SRSD_OK (the set may be empty), SRSD_TIMEOUT, SRSD_DENIED, SRSD_NO_MEMORY or SRSD_SYSTEM (more nodes
 * than children_max, for one: the log says it); or not at all if the manager is closed before. Errors:
 * SRSD_BAD_ARGUMENT (label or options), SRSD_NO_MEMORY. Thread: the manager's. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_discover(struct srsd *srsd, const char *label,
	const struct srsd_read_options *options, uint32_t timeout_ms, srsd_discover_fn *on_done, void *arg,
	struct srsd_error *error);

/* ---- Registration ---------------------------------------------------------------------------- */

struct srsd_registration;

enum srsd_registration_state {
	SRSD_REGISTRATION_PENDING,  /* not there yet, or lost and on its way back */
	SRSD_REGISTRATION_HELD,	    /* the node is there and is ours */
	SRSD_REGISTRATION_CONFLICT, /* the node is there and belongs to another session; tried again */
	SRSD_REGISTRATION_DENIED,   /* ZooKeeper refuses it; tried again */
	SRSD_REGISTRATION_RELEASED  /* the node was removed, or its session is over; the last state */
};

/* The state as a lower-case word ("held"). Static text. Any thread. */
SRSD_API const char *srsd_registration_state_text(enum srsd_registration_state state);

/* Called at each change of state, and in SRSD_REGISTRATION_CONFLICT once more when somebody else has the node
 * now; from the event loop. `text` says why, and is valid during the call. */
typedef void srsd_registration_fn(void *arg, enum srsd_registration_state state, const char *text);

/* What a registration says of itself, in the data of its node, for those who read it by SRSD_FORMAT_JSON.
 * Whoever reads names alone is not touched by it. Begin with SRSD_REGISTER_OPTIONS_DEFAULT. */
struct srsd_label {
	const char *key;
	const char *value;
};
struct srsd_register_options {
	uint32_t weight;  /* 0 to 65535: its share of the traffic among the others; 0: none */
	const char *zone; /* up to 63 bytes; NULL or "": nothing is said */
	const struct srsd_label *labels;
	size_t label_count; /* up to 32, with 2048 bytes together; no key twice */
};
#define SRSD_REGISTER_OPTIONS_DEFAULT                                                                        \
	{                                                                                                    \
		.weight = 1, .zone = NULL, .labels = NULL, .label_count = 0                                  \
	}

/* Are these options that a registration can have? `error` may be NULL. Returns SRSD_OK, SRSD_BAD_ARGUMENT or
 * SRSD_NO_MEMORY. Any thread. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_register_options_check(
	const struct srsd_register_options *options, struct srsd_error *error);

/* Hold the node <registry>/<label>/<address> until srsd_deregister(): with what `options` say as its data
 * (NULL: empty data), ephemeral, its parents as persistent nodes where they are missing; made again after the
 * session expired or the node was removed by others. The caller owns `*out`. `on_state` may be NULL. Errors:
 * SRSD_BAD_ARGUMENT (label, address or options), SRSD_NO_MEMORY. Thread: the manager's. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_register(struct srsd *srsd, const char *label,
	const char *address, const struct srsd_register_options *options, srsd_registration_fn *on_state,
	void *arg, struct srsd_registration **out, struct srsd_error *error);

/* Who has the node while a registration is in SRSD_REGISTRATION_CONFLICT. */
struct srsd_holder {
	int64_t session; /* the id of its session; 0: the node is persistent and belongs to none */
	int64_t age_ms;	 /* since it was made, by the clocks of ZooKeeper and of this machine */
};

/* False, and `out` unchanged, in any other state. */
SRSD_API bool srsd_registration_holder(const struct srsd_registration *registration, struct srsd_holder *out);

/* Remove the node, then report SRSD_REGISTRATION_RELEASED to `on_state`; set the pointer to NULL at once.
 * When no server answers, the report comes after `timeout_ms`; the node is then removed when one does, unless
 * the same is registered again, or goes with the session: at the latest when the manager is closed. */
SRSD_API void srsd_deregister(struct srsd_registration **registration, uint32_t timeout_ms);

/* ---- Blocking calls, for programs without an event loop -------------------------------------- */

/* Connect, read a label once, disconnect. `options` as for srsd_watch(). The caller owns one reference to
 * `*out`. Errors: SRSD_BAD_ARGUMENT, SRSD_NO_MEMORY, SRSD_TIMEOUT, SRSD_DENIED, SRSD_SYSTEM. An empty set is
 * SRSD_OK. Any thread; blocks it for `timeout_ms` at most, and the time that srsd_close() takes. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_discover_wait(const struct srsd_config *config,
	const char *label, const struct srsd_read_options *options, uint32_t timeout_ms,
	struct srsd_snapshot **out, struct srsd_error *error);

/* The same, and one address of it as by srsd_snapshot_pick(). SRSD_NOT_FOUND where there is none. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_discover_one_wait(const struct srsd_config *config,
	const char *label, const struct srsd_read_options *options, uint32_t timeout_ms,
	struct srsd_address *out, struct srsd_error *error);

/* A registration that a thread of the library keeps up. */
struct srsd_hold;

/* Register and wait until the node is there, also while another session has it: that of a predecessor which
 * was killed ends after its session timeout. The node then stays until srsd_hold_release(), as by
 * srsd_register(); a thread of the library's own looks after it (and calls the log and state callbacks of
 * `config`). Errors: SRSD_BAD_ARGUMENT, SRSD_NO_MEMORY, SRSD_TIMEOUT, SRSD_CONFLICT (another session had it
 * to the end, or the node is persistent), SRSD_DENIED, SRSD_SYSTEM; nothing stays behind then. Any thread;
 * blocks it for `timeout_ms` at most, and the time that srsd_close() takes. */
SRSD_API SRSD_MUST_CHECK enum srsd_status srsd_register_hold(const struct srsd_config *config,
	const char *label, const char *address, const struct srsd_register_options *options,
	uint32_t timeout_ms, struct srsd_hold **out, struct srsd_error *error);

/* Remove the node, end the session and the thread; set the pointer to NULL. Blocks for up to about 2 s. Any
 * thread but its own: not inside the callbacks of its configuration. */
SRSD_API void srsd_hold_release(struct srsd_hold **hold);

#ifdef __cplusplus
}
#endif

#endif
