/* network - socket pairs in place of TCP (see network.h). */
#include "network.h"

#include "base/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The least that the kernel allows. */
#define NETWORK_SMALL_BYTES 4608
#define NETWORK_FDS_MAX	    4096

/* A client that was shut down may send on for this long: see WORKER_LINGER_MS. */
#define NETWORK_LINGER_MS 2000

struct network network = {.listeners = {-1, -1}};
ssize_t __real_send(int fd, const void *buffer, size_t bytes, int flags);

static struct wire *wire_of_fd[NETWORK_FDS_MAX];

/* What is to be accepted from each listener. */
static struct {
	struct wire *wires[WIRES_MAX];
	size_t count;
} waiting[2];

void buffer_add(struct buffer *buffer, const void *at, size_t bytes)
{
	if (buffer->count + bytes > buffer->size) {
		buffer->size = (buffer->count + bytes) * 2;
		buffer->at = realloc(buffer->at, buffer->size);
		require(buffer->at != NULL, "no memory");
	}
	if (bytes > 0)
		memcpy(buffer->at + buffer->count, at, bytes);
	buffer->count += bytes;
}

static void journal_add(struct journal *journal, size_t offset)
{
	if (journal->count == journal->size) {
		journal->size = journal->size * 2 + 8;
		journal->entries = realloc(journal->entries, journal->size * sizeof(journal->entries[0]));
		require(journal->entries != NULL, "no memory");
	}
	journal->entries[journal->count].offset = offset;
	journal->entries[journal->count++].turn = network.turn;
}

uint64_t journal_turn(const struct journal *journal, size_t offset)
{
	uint64_t turn = 0;
	for (size_t i = 0; i < journal->count && journal->entries[i].offset <= offset; i++)
		turn = journal->entries[i].turn;
	return turn;
}

static struct wire *wire_find(int fd)
{
	return fd >= 0 && fd < NETWORK_FDS_MAX ? wire_of_fd[fd] : NULL;
}

static struct wire *wire_new(bool is_client)
{
	int ends[2];
	if (network.wire_count == WIRES_MAX)
		return NULL;
	struct wire *wire = calloc(1, sizeof(*wire));
	require(wire != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
		"no socket pair");
	require(ends[0] < NETWORK_FDS_MAX, "descriptors leak");
	wire->is_client = is_client;
	wire->number = is_client ? network.client_count++ : network.backend_count++;
	wire->fd = ends[0];
	wire->peer = ends[1];
	wire_of_fd[wire->fd] = wire;
	network.wires[network.wire_count++] = wire;
	return wire;
}

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes);

static void wire_make_small(struct wire *wire)
{
	int bytes = NETWORK_SMALL_BYTES;
	__real_setsockopt(wire->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	__real_setsockopt(wire->peer, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void network_reset(void)
{
	network.wire_count = 0;
	network.client_count = network.backend_count = 0;
	network.connect_manner = CONNECT_AT_ONCE;
	network.is_small = false;
	network.turn = 0;
	network.pass_ms = 0;
	network.is_balanced = network.has_refused = false;
	waiting[0].count = waiting[1].count = 0;
}

void network_clear(void)
{
	for (size_t i = 0; i < network.wire_count; i++) {
		struct wire *wire = network.wires[i];
		require(wire->fd < 0, "the proxy keeps a connection for ever");
		if (wire->peer >= 0)
			close(wire->peer);
		free(wire->out.at);
		free(wire->in.at);
		free(wire->out_journal.entries);
		free(wire->in_journal.entries);
		free(wire);
	}
	network_reset();
}

/* ---- What peers do --------------------------------------------------------------------------- */

struct wire *network_client(void)
{
	int which = network.is_balanced, listener = network.listeners[which];
	struct wire *wire = listener >= 0 ? wire_new(true) : NULL;
	char header[64];
	if (wire == NULL)
		return NULL;
	if (network.is_small)
		wire_make_small(wire);
	if (which == 1)
		wire->preface_bytes = (size_t)snprintf(
			header, sizeof(header), "PROXY TCP4 10.0.0.%u 192.0.2.1 1 80\r\n", wire->number);
	buffer_add(&wire->out, header, wire->preface_bytes);
	waiting[which].wires[waiting[which].count++] = wire;
	require(eventfd_write(listener, 1) == 0, "the listener cannot be woken");
	return wire;
}

void wire_accept(struct wire *wire, int error)
{
	char buffer[4096];
	if (!wire->is_connecting)
		return;
	wire->is_connecting = false;
	if (error != 0) {
		wire->error = error;
		wire->was_reset = true;
		close(wire->peer);
		wire->peer = -1;
		return;
	}
	while (wire->stuffed_bytes > 0) {
		size_t most = wire->stuffed_bytes < sizeof(buffer) ? wire->stuffed_bytes : sizeof(buffer);
		ssize_t got = recv(wire->peer, buffer, most, 0);
		require(got > 0, "what was stuffed is gone");
		wire->stuffed_bytes -= (size_t)got;
	}
}

void wire_send(struct wire *wire)
{
	while (wire->peer >= 0 && !wire->is_connecting && !wire->is_shut && wire->out_sent < wire->out_due) {
		ssize_t put = __real_send(wire->peer, wire->out.at + wire->out_sent,
			wire->out_due - wire->out_sent, MSG_NOSIGNAL);
		if (put <= 0)
			break;
		journal_add(&wire->out_journal, wire->out_sent);
		wire->out_sent += (size_t)put;
	}
}

void wire_receive(struct wire *wire, size_t most)
{
	static char buffer[1 << 16];
	while (wire->peer >= 0 && !wire->is_connecting && !wire->has_ended && most > 0) {
		ssize_t got = recv(wire->peer, buffer, most < sizeof(buffer) ? most : sizeof(buffer), 0);
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0) {
			wire->has_ended = true;
			break;
		}
		buffer_add(&wire->in, buffer, (size_t)got);
		most -= (size_t)got;
	}
}

void wire_shut(struct wire *wire)
{
	if (wire->peer < 0 || wire->is_connecting || wire->is_shut)
		return;
	wire->is_shut = true;
	shutdown(wire->peer, SHUT_WR);
}

/* What is unread by us makes the close a reset, as with TCP: take it first. */
void wire_close(struct wire *wire)
{
	if (wire->peer < 0 || wire->is_connecting)
		return;
	wire_receive(wire, SIZE_MAX);
	wire->is_shut = true;
	close(wire->peer);
	wire->peer = -1;
}

void wire_reset(struct wire *wire)
{
	if (wire->peer < 0 || wire->is_connecting)
		return;
	if (wire->is_shut) {
		wire_close(wire); /* behind a FIN a reset does not show to who receives */
		return;
	}
	wire_receive(wire, SIZE_MAX);
	wire->was_reset = true;
	wire->error = ECONNRESET;
	close(wire->peer);
	wire->peer = -1;
}

void network_turn(unsigned turns)
{
	network.turns_left = turns;
	network.loop->is_stopped = false;
	loop_run(network.loop);
}

/* ---- What the proxy asks of the kernel ------------------------------------------------------- */

/* Which of the listeners is it? -1: none. */
static int network_listener(int fd)
{
	return fd < 0 ? -1 : fd == network.listeners[0] ? 0 : fd == network.listeners[1] ? 1 : -1;
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	eventfd_t count;
	int which = network_listener(fd);
	if (which < 0)
		return __real_accept4(fd, address, bytes, flags);
	if (waiting[which].count == 0) {
		(void)eventfd_read(fd, &count);
		errno = EAGAIN;
		return -1;
	}
	struct wire *wire = waiting[which].wires[0];
	memmove(waiting[which].wires, waiting[which].wires + 1,
		--waiting[which].count * sizeof(waiting[which].wires[0]));
	uint32_t host = which == 1 ? 0xc0000202 : 0x0a000000 + wire->number;
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host), .sin_port = 1};
	memcpy(address, &peer, sizeof(peer));
	*bytes = sizeof(peer);
	return wire->fd;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	if (family != AF_INET || network.loop == NULL)
		return __real_socket(family, type, protocol);
	if (network.connect_manner == CONNECT_NO_DESCRIPTOR || network.wire_count == WIRES_MAX) {
		network.has_refused = true;
		errno = EMFILE;
		return -1;
	}
	return wire_new(false)->fd;
}

/* A connection that is being made cannot be written to: stuff it until it is full. */
static void wire_stuff(struct wire *wire)
{
	static const char stuffing[4096];
	ssize_t put;
	wire_make_small(wire);
	wire->is_connecting = true;
	while ((put = __real_send(wire->fd, stuffing, sizeof(stuffing), MSG_NOSIGNAL)) > 0)
		wire->stuffed_bytes += (size_t)put;
}

int __real_connect(int fd, const struct sockaddr *address, socklen_t bytes);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t bytes);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	struct wire *wire = wire_find(fd);
	if (wire == NULL)
		return __real_connect(fd, address, bytes);
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
	wire->backend = ntohs(ipv4->sin_port);
	network.has_refused = network.has_refused || network.connect_manner != CONNECT_AT_ONCE;
	if (network.connect_manner == CONNECT_REFUSED) {
		errno = ECONNREFUSED;
		return -1;
	}
	if (network.connect_manner == CONNECT_PENDING) {
		wire_stuff(wire);
		errno = EINPROGRESS;
		return -1;
	}
	if (network.is_small)
		wire_make_small(wire);
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
	struct wire *wire = wire_find(fd);
	if (wire == NULL)
		return __real_setsockopt(fd, level, name, value, bytes);
	if (level == SOL_SOCKET && name == SO_LINGER)
		wire->is_reset_asked = ((const struct linger *)value)->l_onoff != 0;
	return 0;
}

/* Asking for a socket's error takes it away: a receive after it sees a clean end, as with TCP. */
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
	struct wire *wire = wire_find(fd);
	if (wire == NULL || wire->error == 0 || level != SOL_SOCKET || name != SO_ERROR)
		return __real_getsockopt(fd, level, name, value, bytes);
	memcpy(value, &wire->error, sizeof(int));
	wire->error = 0;
	return 0;
}

ssize_t __real_recv(int fd, void *buffer, size_t bytes, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t bytes, int flags);

/* MSG_TRUNC without a buffer, which only TCP has. */
static ssize_t wire_discard(int fd, size_t bytes)
{
	static char discarded[1 << 16];
	ssize_t sum = 0;
	for (;;) {
		size_t left = bytes - (size_t)sum;
		ssize_t got =
			__real_recv(fd, discarded, left < sizeof(discarded) ? left : sizeof(discarded), 0);
		if (got <= 0)
			return sum > 0 ? sum : got;
		sum += got;
	}
}

ssize_t __wrap_recv(int fd, void *buffer, size_t bytes, int flags)
{
	struct wire *wire = wire_find(fd);
	ssize_t got = wire != NULL && buffer == NULL ? wire_discard(fd, bytes)
						     : __real_recv(fd, buffer, bytes, flags);
	if (wire == NULL || got != 0 || wire->error == 0)
		return got;
	errno = wire->error;
	wire->error = 0;
	return -1;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct wire *wire = wire_find(fd);
	if (wire != NULL && wire->error != 0) {
		errno = wire->error;
		wire->error = 0;
		return -1;
	}
	ssize_t put = __real_sendmsg(fd, message, flags);
	if (wire != NULL && put > 0) {
		journal_add(&wire->in_journal, wire->in_sent);
		wire->in_sent += (size_t)put;
	}
	return put;
}

ssize_t __wrap_send(int fd, const void *buffer, size_t bytes, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t bytes, int flags)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	return __wrap_sendmsg(fd, &message, flags);
}

/* Between a wire and the proxy's pipe; unlike send() it has no flag that spares us SIGPIPE. */
ssize_t __real_splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags);
ssize_t __wrap_splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags);
ssize_t __wrap_splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags)
{
	struct wire *source = wire_find(from), *target = wire_find(to);
	if (target != NULL && target->error != 0) {
		errno = target->error;
		target->error = 0;
		return -1;
	}
	ssize_t moved = __real_splice(from, from_at, to, to_at, bytes, flags);
	if (target != NULL && moved > 0) {
		journal_add(&target->in_journal, target->in_sent);
		target->in_sent += (size_t)moved;
	}
	if (source == NULL || moved != 0 || source->error == 0)
		return moved;
	errno = source->error;
	source->error = 0;
	return -1;
}

int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how)
{
	struct wire *wire = wire_find(fd);
	if (wire != NULL && how == SHUT_WR && !wire->is_shut_by_proxy) {
		wire->is_shut_by_proxy = true;
		wire->shut_ms = network.now_ms;
	}
	return __real_shutdown(fd, how);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	struct wire *wire = wire_find(fd);
	int which = network_listener(fd);
	if (which >= 0) {
		network.listeners[which] = -1;
		while (waiting[which].count > 0)
			__wrap_close(waiting[which].wires[--waiting[which].count]->fd);
	}
	if (wire != NULL) {
		int unread = 0;
		ioctl(fd, FIONREAD, &unread);
		bool has_lingered =
			wire->is_shut_by_proxy && network.now_ms - wire->shut_ms >= NETWORK_LINGER_MS;
		/* what came in this very turn cannot be known of */
		bool is_known =
			unread > 0 &&
			journal_turn(&wire->out_journal, wire->out_sent - (size_t)unread) + 1 < network.turn;
		bool is_on_its_way = wire->in_sent > wire->in.count ||
				     journal_turn(&wire->in_journal, SIZE_MAX) + 1 >= network.turn;
		wire->is_closed_rudely = wire->in_sent > 0 && is_known && wire->peer >= 0 && is_on_its_way &&
					 !wire->is_reset_asked && !wire->is_holding && !has_lingered;
		wire->fd = -1;
		wire->closed_turn = network.turn;
		wire_of_fd[fd] = NULL;
	}
	return __real_close(fd);
}

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	if (clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME_COARSE)
		return __real_clock_gettime(clock, out);
	out->tv_sec = (time_t)(network.now_ms / 1000);
	out->tv_nsec = (long)(network.now_ms % 1000) * 1000000;
	return 0;
}

int __real_event_base_loop(struct event_base *base, int flags);
int __wrap_event_base_loop(struct event_base *base, int flags);
int __wrap_event_base_loop(struct event_base *base, int flags)
{
	network.turn++;
	if (--network.turns_left == 0)
		network.loop->is_stopped = true;
	if (network.loop->again_count == 0) {
		network.now_ms += network.pass_ms;
		network.pass_ms = 0;
	}
	return __real_event_base_loop(base, flags | EVLOOP_NONBLOCK);
}

bool __real_loop_init(struct loop *loop, size_t receive_bytes);
bool __wrap_loop_init(struct loop *loop, size_t receive_bytes);
bool __wrap_loop_init(struct loop *loop, size_t receive_bytes)
{
	network.loop = loop;
	return __real_loop_init(loop, receive_bytes);
}
