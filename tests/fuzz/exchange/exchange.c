/* exchange - a whole worker between clients and backends that do what the input says, step by step: what they
 * send and when, how much room there is, how much time passes, who closes and who resets. What went over the
 * wires is then held against a model (model.c), and everything must be given back.
 *
 * The first byte of an input says how it ends, how much the proxy takes in one receive, and whether clients
 * come through a load balancer; steps follow: an operation, its arguments, and how many turns the loop takes
 * after it. */
#include "balance/fleet.h"
#include "balance/roster.h"
#include "base/log.h"
#include "base/loop.h"
#include "mailbox.h"
#include "model.h"
#include "peers.h"
#include "upstream/pool.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#define SERVICES  2
#define BACKENDS  3
#define TRIES_MAX 3

/* From when on a backend is late, instead of what would be learned of it. */
#define LATE_MS 100

/* In the end time passes in steps, until all is over or so many were taken. */
#define END_STEP_MS 997
#define END_STEPS   4000

/* Time stands still as long as the loop has something to do, but for so many turns. */
#define PASS_TURNS 20

static const char configuration[] =
	"listeners:\n  - address: 127.0.0.1:0\n  - {address: 127.0.0.1:0, proxy_protocol: true}\n"
	"services:\n  - name: s\n    choices: 1\n"
	"  - name: few\n    limits: {requests: 2, queue: 2}\n"
	"routes:\n  - path: /\n    service: s\n    upgrade: [websocket]\n"
	"  - path: /few\n    service: few\n"
	"timeouts: {request_head: 3s, request_body: 4s, connect: 1s, "
	"response_head: 5s, response_body: 4s, client_idle: 6s, upstream_idle: 7s, tunnel_idle: 8s}\n"
	"limits: {head: 4k, fields: 40, idle_per_endpoint: 2, connections_per_client: 1}\n"
	"retries: {tries: 3, status_5xx: true}\nadmin: {address: 'off'}\nworkers: 1\n";

struct script {
	const uint8_t *at;
	const uint8_t *end;
};

static struct settings *settings;
static struct worker *worker;
static struct crowd crowd;
static struct admission_places places[SERVICES];
static struct mailbox *mailbox; /* the worker's */
static struct mailbox reports;	/* the server's */
static struct backend *backends[SERVICES][BACKENDS];
static struct verdicts verdicts[SERVICES];
static bool is_worker_spent; /* it drains, or has stopped */
static bool is_stopped;

static uint8_t next(struct script *script)
{
	return script->at < script->end ? *script->at++ : 0;
}

/* ---- The worker ------------------------------------------------------------------------------ */

static void complain(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

/* A shortage: the server would tell the other workers. */
static void on_report(void *arg, struct message *message)
{
	(void)arg;
	require(message->kind == MESSAGE_SHORTAGE, "the worker ends by itself");
}

/* A backend is put out: somebody would probe it, and the input says when that goes well. */
static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static void start_verdicts(void)
{
	const struct belief_rules rules = {
		.errors_max = 3, .ejected_share = 50, .ejection_ms = 1000, .ejection_max_ms = 8000};
	for (uint32_t i = 0; i < SERVICES; i++) {
		verdicts_init(&verdicts[i], settings->services[i].name, &rules);
		verdicts[i].on_doubt = on_doubt;
	}
}

/* An attempt begins: what is late is known from the start. */
void __real_roster_begin(struct roster *roster, struct member *member);
void __wrap_roster_begin(struct roster *roster, struct member *member);
void __wrap_roster_begin(struct roster *roster, struct member *member)
{
	member->late_ms = member->pool->home.late_ms = LATE_MS;
	__real_roster_begin(roster, member);
}

static void start_worker(void)
{
	if (settings == NULL) {
		log_configure(LOG_KEY_VALUE, LOG_ERROR);
		signal(SIGPIPE, SIG_IGN); /* as the program does: splice() brings it */
		network.now_ms = 1000000;
		settings = settings_load_text(
			"f", configuration, sizeof(configuration) - 1, NULL, 0, complain, NULL);
		require(settings != NULL, "the configuration is wrong");
		require(crowd_init(&crowd, settings->limits.connections,
				settings->limits.connections_per_client),
			"no memory");
		for (uint32_t i = 0; i < SERVICES; i++)
			require(admission_places_init(&places[i], settings->services[i].limits.requests,
					settings->services[i].limits.queue, i, 1, &mailbox),
				"no memory");
		start_verdicts();
	}
	for (int i = 0; i < 2; i++)
		network.listeners[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker = worker_new(&(struct worker_settings){.settings = settings,
		.listeners = network.listeners,
		.reports = &reports,
		.crowd = &crowd,
		.places = places,
		.verdicts = verdicts});
	require(worker != NULL && worker_open(worker), "no worker");
	mailbox = worker_mailbox(worker);
	require(mailbox_open(&reports, network.loop->base, on_report, NULL), "no memory");
	is_worker_spent = is_stopped = false;
}

static void tell_worker(enum message_kind kind, struct fleet *fleet)
{
	is_worker_spent = is_worker_spent || kind == MESSAGE_DRAIN || kind == MESSAGE_STOP;
	is_stopped = is_stopped || kind == MESSAGE_STOP;
	require(mailbox_post(mailbox, kind, 0, fleet), "no memory");
}

static struct backend *find_backend(uint32_t service, unsigned index)
{
	const union address address = {.ipv4 = {.sin_family = AF_INET,
					       .sin_port = htons((uint16_t)index),
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	char name[] = {'b', (char)('0' + index), '\0'};
	struct backend **backend = &backends[service][index];
	if (*backend == NULL)
		*backend = backend_new(name, &address, 1, 1, &verdicts[service]);
	require(*backend != NULL, "no memory");
	return *backend;
}

/* Both services' sets are now of the backends whose bits are set; those of `renewed` came back as new ones.
 */
static void set_fleets(unsigned present, unsigned renewed)
{
	static uint64_t version;
	for (uint32_t service = 0; service < SERVICES; service++) {
		for (unsigned i = 0; i < BACKENDS; i++)
			if ((renewed >> i & 1) != 0)
				backend_unref(&backends[service][i]);
		struct fleet *fleet = fleet_new(service, ++version, network.now_ms, BACKENDS);
		require(fleet != NULL, "no memory");
		for (unsigned i = 0; i < BACKENDS; i++)
			if ((present >> i & 1) != 0)
				fleet_append(fleet, find_backend(service, i), 1, NULL);
		verdicts_set_count(&verdicts[service], (uint32_t)fleet->count);
		tell_worker(MESSAGE_FLEET, fleet);
	}
}

/* Whoever was put out is probed, and works. */
static void pass_probes(void)
{
	for (uint32_t service = 0; service < SERVICES; service++)
		for (unsigned i = 0; i < BACKENDS; i++)
			if (backends[service][i] != NULL)
				belief_weigh(&backends[service][i]->belief, EVIDENCE_PROBE_PASSED,
					network.now_ms, network.now_ms);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* A turn of the loop; whoever is not holding reads what came. */
static void take_turn(void)
{
	network_turn(1);
	for (size_t i = 0; i < network.wire_count; i++)
		if (!network.wires[i]->is_holding)
			wire_receive(network.wires[i], SIZE_MAX);
}

static void turn(unsigned count)
{
	for (;; count--) {
		for (size_t i = 0; i < network.wire_count; i++)
			wire_send(network.wires[i]);
		if (count == 0)
			break;
		take_turn();
	}
}

/* Time passes, and nobody does anything new: what is due then happens before. */
static void pass(uint64_t ms)
{
	network.pass_ms += ms;
	for (unsigned i = 0; i < PASS_TURNS && network.pass_ms > 0; i++)
		take_turn();
	network.pass_ms = 0;
	take_turn();
}

/* Let all that a peer means to say go out, or the next few bytes of it. */
static void let_go(struct wire *wire, uint8_t amount)
{
	size_t left = wire->out.count - wire->out_due;
	wire->out_due += amount >= 128 || amount > left ? left : amount;
}

static struct wire *pick_wire(struct script *script, bool is_client)
{
	unsigned count = is_client ? network.client_count : network.backend_count;
	unsigned number = next(script);
	for (size_t i = 0; i < network.wire_count && count > 0; i++)
		if (network.wires[i]->is_client == is_client && network.wires[i]->number == number % count)
			return network.wires[i];
	return NULL;
}

static void say_raw(struct wire *wire, struct script *script)
{
	size_t bytes = next(script), left = (size_t)(script->end - script->at);
	bytes = bytes < left ? bytes : left;
	buffer_add(&wire->out, script->at, bytes);
	script->at += bytes;
	let_go(wire, 255);
}

enum operation {
	OPERATION_REQUEST,
	OPERATION_RESPONSE,
	OPERATION_SEND,
	OPERATION_HOLD,
	OPERATION_RECEIVE,
	OPERATION_RAW,
	OPERATION_SHUT,
	OPERATION_CLOSE,
	OPERATION_RESET,
	OPERATION_CONNECT,
	OPERATION_ACCEPT,
	OPERATION_TIME,
	OPERATION_ROOM,
	OPERATION_FLEET,
	OPERATION_END,
	OPERATION_NEW_REQUEST
};

static void take_wire_step(enum operation operation, struct wire *wire, struct script *script)
{
	switch (operation) {
	case OPERATION_SEND:
		let_go(wire, next(script));
		break;
	case OPERATION_HOLD:
		wire->is_holding = !wire->is_holding;
		wire->has_held = true;
		break;
	case OPERATION_RECEIVE:
		wire_receive(wire, (size_t)next(script) * 8 + 1);
		break;
	case OPERATION_RAW:
		say_raw(wire, script);
		break;
	case OPERATION_SHUT:
		wire_shut(wire);
		break;
	case OPERATION_CLOSE:
		wire_close(wire);
		break;
	case OPERATION_RESET:
		wire_reset(wire);
		break;
	case OPERATION_ACCEPT:
		wire_accept(wire, (next(script) & 1) != 0 ? ECONNREFUSED : 0);
		break;
	default:
		break;
	}
}

static void take_message_step(enum operation operation, struct script *script)
{
	bool is_response = operation == OPERATION_RESPONSE;
	struct wire *wire =
		operation == OPERATION_NEW_REQUEST ? network_client() : pick_wire(script, !is_response);
	struct shape shape;
	shape.kind = next(script);
	shape.flags = next(script);
	shape.size = next(script);
	uint8_t amount = next(script);
	if (wire == NULL || wire->out.count > (1 << 18))
		return;
	if (is_response)
		peer_response(wire, shape);
	else
		peer_request(wire, shape);
	let_go(wire, amount);
}

static void take_step(enum operation operation, struct script *script, bool is_client)
{
	uint8_t argument;
	struct wire *wire;
	switch (operation) {
	case OPERATION_REQUEST:
	case OPERATION_RESPONSE:
	case OPERATION_NEW_REQUEST:
		take_message_step(operation, script);
		break;
	case OPERATION_CONNECT:
		network.connect_manner = next(script) % CONNECT_MANNERS;
		break;
	case OPERATION_TIME:
		argument = next(script);
		pass((uint64_t)argument * argument);
		break;
	case OPERATION_ROOM:
		network.is_small = !network.is_small;
		break;
	case OPERATION_FLEET:
		argument = next(script);
		if (!is_worker_spent)
			set_fleets(argument & 7, argument >> 4 & 7);
		if ((argument & 8) != 0)
			pass_probes();
		break;
	case OPERATION_END:
		argument = next(script);
		if (!is_worker_spent)
			tell_worker(argument == 255   ? MESSAGE_STOP
				    : argument >= 128 ? MESSAGE_SHORTAGE
						      : MESSAGE_DRAIN,
				NULL);
		break;
	default:
		wire = pick_wire(script, is_client && operation != OPERATION_ACCEPT);
		if (wire != NULL)
			take_wire_step(operation, wire, script);
	}
}

/* ---- The end --------------------------------------------------------------------------------- */

enum ending { ENDING_QUIET, ENDING_LEAVE, ENDING_DRAIN, ENDING_STOP };

#define IS_ZERO(field, type, name, help)                                                                     \
	if (strcmp(type, "gauge") == 0 && counters->field != 0)                                              \
		return false;

/* Everything that is counted while it lasts has ended. */
static bool is_over(void)
{
	const struct counters *counters = worker_counters(worker);
	COUNTERS(IS_ZERO)
	return true;
}

/* Nobody does anything new; what was meant to be said is said, and time passes. */
static void wait_for_end(void)
{
	network.loop->receive_bytes = LOOP_RECEIVE_BYTES;
	for (size_t i = 0; i < network.wire_count; i++) {
		network.wires[i]->is_holding = false;
		wire_receive(network.wires[i], SIZE_MAX);
		let_go(network.wires[i], 255);
	}
	turn(4);
	for (unsigned step = 0; step < END_STEPS && !is_over(); step++) {
		pass(END_STEP_MS);
		turn(1);
	}
	require(is_over(), "something is never over");
}

static void end(enum ending ending)
{
	if (ending == ENDING_LEAVE)
		for (size_t i = 0; i < network.wire_count; i++)
			if (network.wires[i]->is_client)
				wire_close(network.wires[i]);
	if (ending >= ENDING_DRAIN && !is_worker_spent)
		tell_worker(ending == ENDING_DRAIN ? MESSAGE_DRAIN : MESSAGE_STOP, NULL);
	wait_for_end();
	const struct model_settings model = {
		.tries_max = TRIES_MAX, .is_stopped = is_stopped, .is_quiet = !is_worker_spent};
	model_check(&model);
	if (is_worker_spent) {
		mailbox_close(&reports);
		worker_free(&worker);
	} else {
		set_fleets(0, 7);
		turn(2);
	}
	network_clear();
	require(crowd.open == 0, "connections are counted that are no more");
	for (size_t i = 0; i < SERVICES; i++)
		require(places[i].in_flight == 0 && places[i].waiting == 0,
			"places are taken by requests that are no more");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint8_t turns[] = {2, 1, 0, 3};
	static const size_t receives[] = {LOOP_RECEIVE_BYTES, 1, 5, 1000};
	struct script script = {.at = data, .end = data + bytes};
	if (bytes < 2)
		return 0;
	if (worker == NULL)
		start_worker();
	uint8_t manner = next(&script);
	network_reset();
	memset(&network.loop->random, 7, sizeof(network.loop->random));
	network.loop->receive_bytes = receives[manner >> 2 & 3];
	network.is_balanced = (manner & 16) != 0;
	network.loop->pipe.is_refused = (manner & 32) != 0;
	set_fleets(7, 7);
	pass_probes();
	turn(1);
	while (script.at < script.end) {
		uint8_t step = next(&script);
		take_step(step & 15, &script, (step & 64) == 0);
		turn(turns[step >> 4 & 3]);
	}
	end(manner & 3);
	return 0;
}
