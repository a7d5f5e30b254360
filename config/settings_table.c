/* settings_table - the one table that gives each key of the configuration its type, default, bounds and help.
 * The reader, --set, the dump and docs/configuration.md are made from it. */
#include "config/settings_table.h"

#include "config/settings.h"

/* The policies that "balance" may name; a new one is a new word here and a new file in proxy/balance. */
static const char *const balance_words[] = {
	"random", "least_requests", "round_robin", "peak_ewma", "ring_hash", NULL};
static const char *const format_words[] = {"name", "json", "smartstack", "serverset", "curator", NULL};
static const char *const expect_continue_words[] = {"pass", "answer", NULL};
static const char *const probe_words[] = {"http", "connect", "off", NULL};
static const char *const repeat_words[] = {"idempotent", "never", "always", NULL};
static const char *const forwarded_fields_words[] = {"x_forwarded", "rfc7239", "both", "off", NULL};
static const char *const answer_wait_words[] = {"asleep", "auto", NULL};
static const char *const half_closed_words[] = {"answer", "cancel", NULL};
static const char *const loopback_congestion_control_words[] = {"reno", "system", NULL};
static const char *const proxy_status_words[] = {"off", "own", "all", NULL};
static const char *const log_format_words[] = {"key_value", "json", NULL};
static const char *const access_if_words[] = {"all", "failed", "slow", NULL};
static const char *const log_level_words[] = {"error", "warning", "info", "debug", NULL};

/* The offset of a member, which must have the type that the row's kind writes. */
#define MEMBER(base, member, type)                                                                           \
	(offsetof(base, member) +                                                                            \
		0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((base *)0)->member), type) ? 1      \
												    : -1]))

#define SECTION(key_path, text)                                                                              \
	{                                                                                                    \
		.path = (key_path), .type = SETTINGS_SECTION, .help = (text)                                 \
	}
#define ITEMS(key_path, member, member_count, item, text)                                                    \
	{                                                                                                    \
		.path = (key_path), .type = SETTINGS_ITEMS, .is_required = true,                             \
		.offset = MEMBER(struct settings, member, item *),                                           \
		.count_offset = MEMBER(struct settings, member_count, size_t), .item_bytes = sizeof(item),   \
		.help = (text)                                                                               \
	}
#define TEXT(base, member) .type = SETTINGS_TEXT, .offset = MEMBER(base, member, char *)
#define NAME(base, member) .type = SETTINGS_NAME, .offset = MEMBER(base, member, char *)
#define CHOICE(base, member, type_of_enum)                                                                   \
	.type = SETTINGS_CHOICE, .offset = MEMBER(base, member, type_of_enum)
#define BOOLEAN(base, member) .type = SETTINGS_BOOLEAN, .offset = MEMBER(base, member, bool)
#define QUANTITY(kind, base, member, low, high)                                                              \
	.type = SETTINGS_QUANTITY, .quantity = (kind), .offset = MEMBER(base, member, uint64_t),             \
	.minimum = (low), .maximum = (high)
#define NUMBER(member, low, high)   QUANTITY(QUANTITY_NUMBER, struct settings, member, low, high)
#define SIZE(member, low, high)	    QUANTITY(QUANTITY_SIZE, struct settings, member, low, high)
#define DURATION(member, low, high) QUANTITY(QUANTITY_DURATION, struct settings, member, low, high)

/* A timeout of a service's own. */
#define SERVICE_DURATION(name, member, text)                                                                 \
	{                                                                                                    \
		.path = "services[].timeouts." name,                                                         \
		QUANTITY(QUANTITY_DURATION, struct service_settings, timeouts.member, 1, DAY_MS),            \
		.absent = "timeouts." name, .help = "As timeouts." name ", for this service." text           \
	}

#define HEALTH(kind, member, low, high) QUANTITY(kind, struct service_settings, health.member, low, high)

#define SECOND_MS ((uint64_t)1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS	  (60 * MINUTE_MS)
#define DAY_MS	  (24 * HOUR_MS)
#define KIB	  ((uint64_t)1024)
#define GIB	  (KIB * KIB * KIB)

/* Words stand in the order of their enum. */
_Static_assert(SRSD_FORMAT_NAME == 0 && SRSD_FORMAT_JSON == 1 && SRSD_FORMAT_SMARTSTACK == 2 &&
		       SRSD_FORMAT_SERVERSET == 3 && SRSD_FORMAT_CURATOR == 4,
	"format_words is in another order");

const struct settings_key settings_keys[] = {
	SECTION("zookeeper",
		"Where services register. Not contacted for a service that has its addresses in static."),
	{.path = "zookeeper.servers",
		TEXT(struct settings, zookeeper.servers),
		.check = text_check_servers,
		.form = "host:port,...[/chroot]",
		.default_text = "127.0.0.1:2181",
		.help = "The servers of the ensemble; all of them, so that one may be down."},
	{.path = "zookeeper.registry",
		TEXT(struct settings, zookeeper.registry),
		.check = text_check_registry,
		.form = "an absolute path",
		.default_text = "/zk_registry/data",
		.help = "The node above the labels: a backend of service LABEL is the node "
			"REGISTRY/LABEL/host:port."},
	{.path = "zookeeper.session_timeout",
		DURATION(zookeeper.session_timeout_ms, SECOND_MS, 10 * MINUTE_MS),
		.default_text = "10s",
		.help = "How long ZooKeeper keeps the session of a proxy that is cut off. The server bounds "
			"it further, by default to 4s to 40s."},
	{.path = "zookeeper.recheck",
		DURATION(zookeeper.recheck_ms, SECOND_MS, 24 * 60 * MINUTE_MS),
		.default_text = "1m",
		.help = "About how often a service's nodes are read again though no change was heard of. "
			"What is read of nodes beside their names is read again then."},

	{.path = "zookeeper.state_dir",
		TEXT(struct settings, zookeeper.state_dir),
		.check = text_check_directory,
		.form = "an absolute path",
		.default_text = "none",
		.special = "none",
		.help = "A directory where the last known set of each service is kept, for a start while no "
			"ZooKeeper answers. It must be there, and this user must be able to write to it. "
			"none: such a start waits for ZooKeeper."},
	{.path = "zookeeper.state_wait",
		DURATION(zookeeper.state_wait_ms, 0, 10 * MINUTE_MS),
		.default_text = "50ms",
		.help = "For how long a start waits for ZooKeeper before it takes the sets in state_dir. "
			"Nothing is lost by not waiting long: who is in them is connected to first, and "
			"what ZooKeeper says replaces them."},
	{.path = "zookeeper.max_stale",
		DURATION(zookeeper.max_stale_ms, SECOND_MS, 365 * DAY_MS),
		.default_text = "off",
		.special = "off",
		.help = "A set in state_dir that ZooKeeper did not confirm for longer than this is not "
			"used. It does not bound the use of a set that a running proxy has. off: no bound."},
	{.path = "zookeeper.auth_file",
		TEXT(struct settings, zookeeper.auth_file),
		.check = text_check_file,
		.form = "an absolute path",
		.default_text = "none",
		.special = "none",
		.help = "A file with one line user:password, for labels that not everyone may read "
			"(ZooKeeper's digest authentication). Only its owner may write it, and only its "
			"owner and its group read it."},

	ITEMS("listeners", listeners, listener_count, struct listener_settings, "Where clients connect."),
	{.path = "listeners[].address",
		TEXT(struct listener_settings, address),
		.check = text_check_listen,
		.form = "an IP address and port",
		.is_required = true,
		.help = "The address to listen on. 0.0.0.0 and [::] are all interfaces; port 0 takes a free "
			"port."},
	{.path = "listeners[].shared",
		BOOLEAN(struct listener_settings, is_shared),
		.default_text = "false",
		.help = "Let other processes of the same user listen on the same port (SO_REUSEPORT), as a "
			"second proxy does that takes over from the first. What connects waits, for a second "
			"at "
			"most, until a set of each service is known."},
	{.path = "listeners[].proxy_protocol",
		BOOLEAN(struct listener_settings, has_proxy_header),
		.default_text = "false",
		.help = "Every connection begins with a header of the PROXY protocol, version 1 or 2, from "
			"which the client's address is taken. It is required then: a connection without one "
			"is closed. Only for a listener that nobody but the load balancer reaches, as "
			"anyone could claim any address."},
	{.path = "listeners[].deferred",
		BOOLEAN(struct listener_settings, is_deferred),
		.default_text = "false",
		.help = "Take a connection when its first bytes are there, or after a second "
			"(TCP_DEFER_ACCEPT). A request that comes on a connection of its own takes a third "
			"less processor time then. Until it is taken a connection counts nowhere. Draining "
			"takes 1.5 s at least then, or half of drain_timeout where that is less."},

	ITEMS("services", services, service_count, struct service_settings,
		"The services that requests are forwarded to."),
	{.path = "services[].name",
		TEXT(struct service_settings, name),
		.check = text_check_label,
		.form = "a label",
		.is_required = true,
		.help = "The label below the registry, and the name that routes use."},
	{.path = "services[].balance",
		NAME(struct service_settings, balance),
		.words = balance_words,
		.default_text = "random",
		.help = "How a backend is chosen for a request; each by its weight (see format), one of "
			"weight 0 never. random: of some drawn at random (see choices) the one with the "
			"least load. least_requests: the one with the least load of all (of more than 64: "
			"of 48 neighbours). round_robin: each in turn. peak_ewma: of two drawn at random "
			"the one with the lower recent latency times load. ring_hash: the same one for the "
			"same key (see hash_on), as long as it has not much more load than the others. Load "
			"is the requests in flight, and failures of late. See docs/operations.md."},
	{.path = "services[].choices",
		QUANTITY(QUANTITY_NUMBER, struct service_settings, choices, 1, 16),
		.default_text = "2",
		.help = "Of balance: random. So many backends are drawn, and the one with the least load "
			"for its weight is taken. 1 is purely random."},
	{.path = "services[].hash_on",
		TEXT(struct service_settings, hash_on),
		.check = text_check_hash_on,
		.form = "path, client_address, header:NAME or cookie:NAME",
		.default_text = "path",
		.help = "Of balance: ring_hash. What requests must have in common to go to the same "
			"backend. path: the path, without query. client_address: the address of the "
			"client's connection, or what the PROXY header says. header:NAME: the value of that "
			"field, as it is written; cookie:NAME: of that cookie. A request without it goes to "
			"any backend."},
	{.path = "services[].format",
		CHOICE(struct service_settings, format, enum srsd_format),
		.words = format_words,
		.default_text = "name",
		.help = "What the service's nodes in the registry look like. name: the node's name is the "
			"address, its data is not read. json: the same, and its data is empty or says more: "
			"{\"weight\": 2, \"zone\": \"a\", \"labels\": {\"rack\": \"7\"}}. The others have "
			"the "
			"address in their data: smartstack as Nerve writes it, serverset as Finagle and "
			"Aurora do, curator as Apache Curator and Spring Cloud do. See docs/operations.md."},
	{.path = "services[].port_name",
		TEXT(struct service_settings, port_name),
		.check = text_check_port_name,
		.form = "a name",
		.absent = "the service endpoint",
		.help = "Of a serverset: the additional endpoint to connect to."},
	{.path = "services[].below",
		TEXT(struct service_settings, below),
		.check = text_check_label,
		.form = "the name of a node",
		.absent = "the label's own node",
		.help = "The service's nodes are not below REGISTRY/LABEL, but below REGISTRY/LABEL/BELOW, "
			"as in Nerve's /nerve/services/LABEL/services."},
	{.path = "services[].static",
		.type = SETTINGS_TEXTS,
		.offset = MEMBER(struct service_settings, static_names, char **),
		.count_offset = MEMBER(struct service_settings, static_count, size_t),
		.check = text_check_endpoint,
		.form = "host:port",
		.absent = "those in the registry",
		.help = "The service's backends, instead of those in the registry."},
	{.path = "services[].networks",
		.type = SETTINGS_TEXTS,
		.offset = MEMBER(struct service_settings, networks, char **),
		.count_offset = MEMBER(struct service_settings, network_count, size_t),
		.check = text_check_network,
		.form = "IP network or address",
		.absent = "every address that a service can have",
		.help = "Where the service's backends may be: one that registers with another address, or "
			"with a host name that is resolved to one, is never connected to. IPv4 and IPv6 are "
			"named apart. Left out: everywhere but link-local (169.254.0.0/16, fe80::/10) and "
			"what else clouds hand out credentials at (fd00:ec2::254, fd20:ce::254), multicast, "
			"broadcast and 0.0.0.0/8."},
	{.path = "services[].expect_continue",
		CHOICE(struct service_settings, expect_continue, enum expect_continue_setting),
		.words = expect_continue_words,
		.default_text = "pass",
		.help = "Who answers a client that waits for 100 Continue before it sends a body. pass: the "
			"backend, which may refuse it instead. answer: the proxy, as soon as a backend is "
			"connected; for backends that do not know Expect."},
	SECTION("services[].timeouts", "Where this service's own differ from timeouts."),
	SERVICE_DURATION("request_body", request_body_ms, ""),
	SERVICE_DURATION("connect", connect_ms, ""),
	SERVICE_DURATION("response_head", response_head_ms, ""),
	SERVICE_DURATION("response_body", response_body_ms, ""),
	SERVICE_DURATION("upstream_idle", upstream_idle_ms, ""),
	SERVICE_DURATION("tunnel_idle", tunnel_idle_ms, ""),
	SERVICE_DURATION("queue", queue_ms, ""),
	SERVICE_DURATION("request", request_ms, " Where that is set, 24h is as good as off."),

	SECTION("services[].limits", "How much this service is given at once."),
	{.path = "services[].limits.requests",
		QUANTITY(QUANTITY_NUMBER, struct service_settings, limits.requests, 1, 1000000),
		.default_text = "off",
		.special = "off",
		.help = "Requests in flight, over all workers; an upgraded connection counts as long as it "
			"lasts. One more waits if the queue has room, else the answer is 503."},
	{.path = "services[].limits.queue",
		QUANTITY(QUANTITY_NUMBER, struct service_settings, limits.queue, 0, 1000000),
		.default_text = "0",
		.help = "Requests that wait for one of those to end, over all workers, each for "
			"timeouts.queue at most."},
	{.path = "services[].limits.connections_per_endpoint",
		QUANTITY(QUANTITY_NUMBER, struct service_settings, limits.connections_per_endpoint, 1,
			1000000),
		.default_text = "off",
		.special = "off",
		.help = "Connections to one backend, over all workers, idle ones included. A request that "
			"finds them all in use goes to another backend; when that has happened ten times, "
			"or there is no other, the answer is 503. Where other workers have idle ones, or "
			"more than its own, it waits for one of theirs, for timeouts.queue at most. At "
			"least as many as workers are of use."},

	SECTION("services[].subset",
		"For large services: this proxy uses its share of the backends alone, which bounds "
		"the connections of many proxies to many backends. See docs/operations.md."),
	{.path = "services[].subset.size",
		QUANTITY(QUANTITY_NUMBER, struct service_settings, subset.size, 1, 1000000),
		.default_text = "off",
		.special = "off",
		.help = "So many backends are used, and one more for each of them that is ejected; the "
			"others are neither probed nor connected to. off: all are used. Not with balance: "
			"ring_hash."},
	{.path = "services[].subset.identity",
		TEXT(struct service_settings, subset.identity),
		.check = text_check_port_name,
		.form = "a name",
		.absent = "the host's name and the address of the first listener",
		.help = "What tells this proxy from the others: each takes a share of its own by it, the "
			"same one when it starts again. Where it is not given: the host's name and the "
			"address of the first listener."},

	SECTION("services[].health", "What is believed of a backend, beside that its node is there. One "
				     "where nobody answers a connect gets "
				     "no more requests at once, one that is silent while others answer, or "
				     "that fails time and again, is "
				     "ejected for a while."),
	{.path = "services[].health.probe",
		CHOICE(struct service_settings, health.probe, enum probe_setting),
		.words = probe_words,
		.default_text = "http",
		.help = "How a backend that was ejected is tried before it gets requests again. http: GET "
			"of path, to which any whole answer below 500 will do. connect: a connection will "
			"do. off: it gets requests again when its time is over."},
	{.path = "services[].health.path",
		TEXT(struct service_settings, health.path),
		.check = text_check_probe_path,
		.form = "an absolute path",
		.default_text = "/",
		.help = "What a probe asks for: 1600 bytes at most."},
	{.path = "services[].health.interval",
		HEALTH(QUANTITY_DURATION, interval_ms, 0, DAY_MS),
		.default_text = "0ms",
		.help = "How often backends that work are probed as well. 0: only where there is doubt; "
			"requests show the rest."},
	{.path = "services[].health.timeout",
		HEALTH(QUANTITY_DURATION, timeout_ms, 1, HOUR_MS),
		.default_text = "1s",
		.help = "How long a probe may take at most; less where answers are known to be faster."},
	{.path = "services[].health.errors",
		HEALTH(QUANTITY_NUMBER, errors, 0, 1000000),
		.default_text = "3",
		.help = "So many failures in a row eject a backend: answers of 500 and above (but for 501 "
			"and 505), connections that it resets or closes without an answer, answers that are "
			"cut, malformed or late. 0: never."},
	{.path = "services[].health.silence",
		HEALTH(QUANTITY_DURATION, silence_ms, 0, HOUR_MS),
		.default_text = "50ms",
		.help = "A backend that has sent nothing for so long, and for far longer than it usually "
			"takes, while others answered, is suspect: requests that wait for it and may be "
			"repeated go to another as well. 0: never."},
	{.path = "services[].health.ejection",
		HEALTH(QUANTITY_DURATION, ejection_ms, 1, DAY_MS),
		.default_text = "1s",
		.help = "How long a backend is ejected for failures or silence before it is probed. Twice "
			"as long each time that it happens again."},
	{.path = "services[].health.ejection_max",
		HEALTH(QUANTITY_DURATION, ejection_max_ms, 1, DAY_MS),
		.default_text = "1m",
		.help = "And never longer than that. What worked for that long since begins anew."},
	{.path = "services[].health.ejected_share",
		HEALTH(QUANTITY_NUMBER, ejected_share, 0, 100),
		.default_text = "50",
		.help = "Percent of a service's backends that may be ejected for failures or silence at a "
			"time: where most fail, it is not the backends. Of two or more, one always may, "
			"unless this is 0. Backends where nobody is do not count."},
	{.path = "services[].health.panic",
		BOOLEAN(struct service_settings, health.has_panic),
		.default_text = "true",
		.help = "Where every backend is ejected, requests go to those that are the least bad. "
			"false: the answer is 503."},
	{.path = "services[].health.slow_start",
		HEALTH(QUANTITY_DURATION, slow_start_ms, 0, HOUR_MS),
		.default_text = "0ms",
		.help = "A backend that came, or came back, gets its share of the requests little by little "
			"over this time."},
	{.path = "services[].health.vanish_share",
		HEALTH(QUANTITY_NUMBER, vanish_share, 0, 100),
		.default_text = "50",
		.help = "When more than this percentage of a service's backends vanishes from the registry "
			"within a moment, the registry is not believed as long as probes of them succeed. "
			"100: it is always believed, as where services are scaled down to nothing while "
			"they still answer."},
	{.path = "services[].health.vanish_hold",
		HEALTH(QUANTITY_DURATION, vanish_hold_ms, 1, 30 * DAY_MS),
		.default_text = "10m",
		.help = "For how long it is not believed."},

	ITEMS("routes", routes, route_count, struct route_settings,
		"Which request goes to which service. The longest path that is a prefix of the request's "
		"wins."),
	{.path = "routes[].path",
		TEXT(struct route_settings, path),
		.check = text_check_path,
		.form = "an absolute path",
		.is_required = true,
		.help = "The prefix, in whole parts: /api takes /api and what is below /api/, and not "
			"/apis. / takes every request."},
	{.path = "routes[].service",
		TEXT(struct route_settings, service),
		.check = text_check_label,
		.form = "the name of a service",
		.is_required = true,
		.help = "One of services[].name."},
	{.path = "routes[].forward_to",
		TEXT(struct route_settings, forward_to),
		.check = text_check_path,
		.form = "an absolute path",
		.absent = "the request's own path",
		.help = "The path that the backend is asked for; the request's query stays."},
	{.path = "routes[].repeat",
		CHOICE(struct route_settings, repeat, enum repeat_setting),
		.words = repeat_words,
		.default_text = "idempotent",
		.help = "Which requests may be sent again, within retries.tries, when a backend may have "
			"seen some of them and has not answered. idempotent: GET, HEAD, PUT, DELETE, "
			"OPTIONS and TRACE (RFC 9110 section 9.2.2); always: POST and all others as well, "
			"for services that bear it. A request of which nothing was sent is always tried "
			"elsewhere."},

	{.path = "routes[].upgrade",
		.type = SETTINGS_TEXTS,
		.offset = MEMBER(struct route_settings, upgrades, char **),
		.count_offset = MEMBER(struct route_settings, upgrade_count, size_t),
		.check = text_check_protocol,
		.form = "protocol",
		.absent = "none",
		.help = "The protocols that a client may upgrade its connection to, for example websocket. "
			"After the backend's 101 bytes are passed both ways as they are, until both sides "
			"have ended or timeouts.tunnel_idle is over."},

	SECTION("timeouts", "How long the proxy waits before it gives up."),
	{.path = "timeouts.request_head",
		DURATION(timeouts.request_head_ms, 1, DAY_MS),
		.default_text = "10s",
		.help = "From the first byte of a request's head to its last."},
	{.path = "timeouts.request_body",
		DURATION(timeouts.request_body_ms, 1, DAY_MS),
		.default_text = "30s",
		.help = "While a client sends nothing more of a request's body."},
	{.path = "timeouts.connect",
		DURATION(timeouts.connect_ms, 1, DAY_MS),
		.default_text = "1s",
		.help = "To connect to a backend, over all addresses of its name."},
	{.path = "timeouts.response_head",
		DURATION(timeouts.response_head_ms, 1, DAY_MS),
		.default_text = "30s",
		.help = "From the request sent to the head of its response complete."},
	{.path = "timeouts.response_body",
		DURATION(timeouts.response_body_ms, 1, DAY_MS),
		.default_text = "30s",
		.help = "While a backend sends nothing more of a response's body, or the client takes "
			"nothing of it."},
	{.path = "timeouts.client_idle",
		DURATION(timeouts.client_idle_ms, 1, DAY_MS),
		.default_text = "1m",
		.help = "A client's connection between two requests."},
	{.path = "timeouts.upstream_idle",
		DURATION(timeouts.upstream_idle_ms, 1, DAY_MS),
		.default_text = "50s",
		.help = "A connection to a backend that waits for its next request. Keep it below the "
			"backends' own."},

	{.path = "timeouts.tunnel_idle",
		DURATION(timeouts.tunnel_idle_ms, 1, DAY_MS),
		.default_text = "1h",
		.help = "While neither side of an upgraded connection sends anything."},
	{.path = "timeouts.queue",
		DURATION(timeouts.queue_ms, 1, DAY_MS),
		.default_text = "1s",
		.help = "While a request waits because of services[].limits; after it the answer is 503."},
	{.path = "timeouts.request",
		DURATION(timeouts.request_ms, 1, DAY_MS),
		.default_text = "off",
		.special = "off",
		.help = "A whole request: from its head complete to its response complete, with all "
			"attempts. A tunnel is not bound by it. off: no bound."},

	SECTION("limits", "How much the proxy takes on."),
	{.path = "limits.head",
		SIZE(limits.head_bytes, KIB, 64 * KIB - 1),
		.default_text = "16k",
		.help = "Start line and fields of a request or a response together."},
	{.path = "limits.fields",
		NUMBER(limits.fields, 10, 256),
		.default_text = "100",
		.help = "Fields of a request or a response."},
	{.path = "limits.request_body",
		SIZE(limits.request_body_bytes, 1, KIB *GIB),
		.default_text = "off",
		.special = "off",
		.help = "The body of a request. A larger one is answered 413: at once where its length is "
			"stated, else when it gets there. off: no limit."},
	{.path = "limits.connections",
		NUMBER(limits.connections, 1, 1000000),
		.default_text = "10000",
		.help = "Connections from clients, over all workers. One more is answered 503."},
	{.path = "limits.connections_per_client",
		NUMBER(limits.connections_per_client, 1, 1000000),
		.default_text = "off",
		.special = "off",
		.help = "Connections from one client's address, over all workers. One more is answered 429. "
			"IPv6 addresses count by their first 64 bits. Behind a balancer that speaks the "
			"PROXY protocol the client is who the header says. off: no limit."},
	{.path = "limits.idle_per_endpoint",
		NUMBER(limits.idle_per_endpoint, 0, 100000),
		.default_text = "256",
		.help = "Connections kept open to one backend while no request uses them, per worker."},
	{.path = "limits.receive",
		SIZE(limits.receive_bytes, 1, 16 * 1024 * KIB),
		.default_text = "256k",
		.help = "Bytes taken from a socket in one call. A worker has one buffer of this size; a "
			"connection holds so much at most for each direction whose receiver is slow."},
	{.path = "limits.splice",
		BOOLEAN(struct settings, limits.has_splice),
		.default_text = "true",
		.help = "Bodies that keep coming as fast as they are received, with a length and not in "
			"chunks, and tunnels go from socket to socket within the kernel (splice), receive "
			"bytes at a time, through a pipe of each worker: two descriptors. false, or where "
			"the system refuses it: they are copied."},
	{.path = "limits.children",
		NUMBER(limits.children, 1, 1000000),
		.default_text = "100000",
		.help = "Nodes under a label. With more than these, the last set stays in use and an error "
			"is logged."},
	{.path = "limits.node_data",
		SIZE(limits.node_data_bytes, 1, KIB *KIB),
		.default_text = "16k",
		.help = "The data of a node, for services[].format other than name. A node with more is "
			"left out, or stays as it was known, and an error is logged."},

	SECTION("retries", "When an attempt fails before anything was sent to the client."),
	{.path = "retries.tries",
		NUMBER(retries.tries, 1, 10),
		.default_text = "3",
		.help = "Attempts for one request, the first included. 1 is no retry. One that there was no "
			"connection for does not count as long as there is a backend that was not tried."},
	{.path = "retries.budget",
		NUMBER(retries.budget, 0, 1000),
		.default_text = "20",
		.help = "Attempts beyond the first, of all requests to a service together, in percent of "
			"these: more are not made, over ten seconds, so that backends in trouble get no "
			"storm. Each worker minds its own requests."},
	{.path = "retries.budget_min",
		NUMBER(retries.budget_min, 0, 1000000),
		.default_text = "10",
		.help = "So many of them each second are allowed anyway, for each service."},
	{.path = "retries.status_5xx",
		BOOLEAN(struct settings, retries.has_status_5xx),
		.default_text = "false",
		.help = "An answer of 500, 502, 503 or 504 to a request that may be repeated is not passed "
			"on, but the request is sent to another backend, once."},
	{.path = "retries.hedge",
		NUMBER(retries.hedge, 50, 99),
		.default_text = "off",
		.special = "off",
		.help = "A request that may be repeated, and that takes longer than this percentile of the "
			"service's requests, is sent to another backend as well, and the first answer "
			"counts. off: only when the backend is suspect."},
	{.path = "retries.attempt_timeout",
		DURATION(retries.attempt_timeout_ms, 0, DAY_MS),
		.default_text = "0ms",
		.help = "How long one attempt may take to bring the head of a response, before the request "
			"is tried elsewhere if it may be repeated; a connection that must be made first has "
			"as long. 0: no bound but timeouts.response_head and timeouts.connect."},

	SECTION("forwarded",
		"What backends are told of the client: its address, and the host and scheme that it asked "
		"for. A kind of field that is not written here is not passed on either."),
	{.path = "forwarded.fields",
		CHOICE(struct settings, forwarded.fields, enum forwarded_fields_setting),
		.words = forwarded_fields_words,
		.default_text = "x_forwarded",
		.help = "The fields that say it. x_forwarded: X-Forwarded-For, -Host, -Proto. rfc7239: "
			"Forwarded."},
	{.path = "forwarded.trusted",
		.type = SETTINGS_TEXTS,
		.offset = MEMBER(struct settings, forwarded.trusted, char **),
		.count_offset = MEMBER(struct settings, forwarded.trusted_count, size_t),
		.check = text_check_network,
		.form = "IP network or address",
		.special = "none",
		.absent = "every peer",
		.help = "The proxies in front of this one: the fields of their requests are believed, and "
			"added to. Those of other peers are dropped, and begun anew: name the proxies where "
			"strangers can connect."},

	SECTION("explain", "Who may ask with a field Srsd-Explain why a request went where it went."),
	{.path = "explain.networks",
		.type = SETTINGS_TEXTS,
		.offset = MEMBER(struct settings, explain.networks, char **),
		.count_offset = MEMBER(struct settings, explain.network_count, size_t),
		.check = text_check_network,
		.form = "IP network or address",
		.special = "none",
		.default_text = "none",
		.help = "Clients whose requests are answered with the backends of the service, what is "
			"believed of each, and what was tried, if they ask for it. A request that came "
			"through another proxy is asked by its client where forwarded.trusted names that "
			"proxy, and else by nobody."},

	SECTION("log", "What is written to standard error, and of each request."),
	{.path = "log.format",
		CHOICE(struct settings, log.format, enum log_format_setting),
		.words = log_format_words,
		.default_text = "key_value",
		.help = "How a line looks: key=value or JSON."},
	{.path = "log.level",
		CHOICE(struct settings, log.level, enum log_level_setting),
		.words = log_level_words,
		.default_text = "info",
		.help = "The least important lines that are written."},
	{.path = "log.access",
		TEXT(struct settings, log.access),
		.check = text_check_access_log,
		.form = "stdout, stderr or an absolute path",
		.default_text = "off",
		.special = "off",
		.help = "Where a line for each request goes, in log.format. A file is appended to, and "
			"opened anew on SIGUSR1. off: there is none, and it costs nothing."},
	{.path = "log.access_if",
		CHOICE(struct settings, log.access_if, enum access_if_setting),
		.words = access_if_words,
		.default_text = "all",
		.help = "Which requests get a line. failed: those that were answered 5xx or met a problem; "
			"slow: those, and all that took longer than access_slow."},
	{.path = "log.access_slow",
		DURATION(log.access_slow_ms, 1, HOUR_MS),
		.default_text = "1s",
		.help = "With access_if: slow, from how long a request counts as slow."},

	SECTION("admin", "The proxy's own state: /healthz, /ready, /metrics, /backends."),
	{.path = "admin.address",
		TEXT(struct settings, admin.address),
		.check = text_check_listen,
		.form = "an IP address and port",
		.default_text = "127.0.0.1:9901",
		.special = "off",
		.help = "The address to listen on; it has no access control, so keep it from strangers. "
			"off: do not."},

	{.path = "workers",
		NUMBER(workers, 1, 256),
		.default_text = "auto",
		.special = "auto",
		.help = "Threads that serve requests. auto: one per processor that the process may use."},
	{.path = "answer_wait",
		CHOICE(struct settings, answer_wait, enum answer_wait_setting),
		.words = answer_wait_words,
		.default_text = "auto",
		.help = "How a worker that serves one request at a time waits for its answer. auto: awake, "
			"where answers come within 50 us and being woken up for them was measured to take "
			"half as long again; at most 100 us each, and no more than 1 % of a processor in "
			"vain. asleep: never awake."},
	{.path = "busy_wait",
		DURATION(busy_wait_ms, 1, 100),
		.default_text = "off",
		.special = "off",
		.help = "How long a worker with nothing to do looks on for something before it sleeps, if "
			"what it did last came as soon. A hop adds much less latency then, where a "
			"processor that sleeps wakes up slowly, as on virtual machines; but each busy "
			"worker takes all of a processor, which nobody else should need. off: it sleeps at "
			"once."},
	{.path = "background_nice",
		NUMBER(background_nice, 0, 19),
		.default_text = "5",
		.help = "How far the threads that follow the registry and look after backends stand behind "
			"the workers where processors are busy: what is added to their nice value. They "
			"never wait for an idle processor, and have a share of a busy one, which becomes "
			"smaller by a fifth with each step: a third of a worker's at 5, a tenth at 10. Above "
			"0 they also let workers go first between two pieces of work."},
	{.path = "half_closed",
		CHOICE(struct settings, half_closed, enum half_closed_setting),
		.words = half_closed_words,
		.default_text = "answer",
		.help = "What becomes of a request when its client closes while it is served. TCP does not "
			"tell a client that has gone from one that has only ended its own side and still "
			"reads. answer: it is served to its end, and only a reset cancels it; cancel: it is "
			"cancelled, which spares backends work for clients that have given up."},
	{.path = "loopback_congestion_control",
		CHOICE(struct settings, loopback_congestion_control,
			enum loopback_congestion_control_setting),
		.words = loopback_congestion_control_words,
		.default_text = "reno",
		.help = "TCP's congestion control on listeners and to backends with a loopback address "
			"(127.0.0.0/8, ::1). reno: one that does not pace, as nothing is gained by it "
			"within one machine; where the system's paces (BBR), large bodies cost up to a "
			"third less; system: the system's, as everywhere else."},
	{.path = "proxy_status",
		CHOICE(struct settings, proxy_status, enum proxy_status_setting),
		.words = proxy_status_words,
		.default_text = "off",
		.help = "Which failures are explained to programs in a field Proxy-Status (RFC 9209): the "
			"type of error, the backend that was asked last, the proxy's own code. own: those "
			"that the proxy answers itself; all: 5xx of backends as well."},
	{.path = "name_refresh",
		DURATION(name_refresh_ms, SECOND_MS, DAY_MS),
		.default_text = "30s",
		.help = "About how often the host names of backends are looked up again. All their "
			"addresses are used; while a look-up fails, those that were found before."},
	{.path = "drain_timeout",
		DURATION(drain_timeout_ms, 0, HOUR_MS),
		.default_text = "10s",
		.help = "How long requests in flight may go on after SIGTERM or SIGINT."},
	{.path = NULL},
};
