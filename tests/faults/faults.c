/* faults - makes the Nth call of a kind fail in a thread of the program that it is linked into. The linker
 * sends the calls of our sources, and of libevent, which is linked statically for that, through the functions
 * below (--wrap). What fails, and how, is said in a file that the test maps as well: FAULTS_CONTROL names it.
 * Without that nothing fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The order is that of KINDS in control.py. */
enum fault_kind {
	FAULT_ALLOCATE,
	FAULT_ACCEPT,
	FAULT_SOCKET,
	FAULT_CONNECT,
	FAULT_SEND,
	FAULT_RECEIVE,
	FAULT_REGISTER, /* with epoll */
	FAULT_PIPE,
	FAULT_SPLICE,
	FAULT_KINDS
};

/* Beside the values of errno. */
#define FAULT_SHORT 1000 /* one byte is moved, and an edge follows when there is more to do */

/* Bits of `threads`. */
#define FAULT_IN_MAIN	  1
#define FAULT_IN_WORKER	  2
#define FAULT_IN_REGISTRY 4
#define FAULT_IN_CHECKER  8

struct fault_control {
	_Atomic uint64_t kind;	  /* of the call that fails, plus 1; 0: none does */
	_Atomic uint64_t number;  /* that of the first call that fails, from 1 */
	_Atomic uint64_t repeats; /* so many calls fail, one after the other */
	_Atomic uint64_t error;	  /* with this value of errno, or FAULT_SHORT */
	_Atomic uint64_t threads; /* where calls are counted, and fail */
	_Atomic uint64_t fired;	  /* calls that failed */
	_Atomic uint64_t calls[FAULT_KINDS];
};

static struct fault_control *control;

/* ---- Does this call fail? -------------------------------------------------------------------- */

__attribute__((constructor)) static void faults_open(void)
{
	const char *path = getenv("FAULTS_CONTROL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *mapped = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		control = mapped;
}

static uint64_t faults_name_thread(void)
{
	char name[16] = "";
	if (gettid() == getpid())
		return FAULT_IN_MAIN;
	prctl(PR_GET_NAME, name);
	return strncmp(name, "worker", 6) == 0 ? FAULT_IN_WORKER
	       : strcmp(name, "registry") == 0 ? FAULT_IN_REGISTRY
	       : strcmp(name, "checker") == 0  ? FAULT_IN_CHECKER
					       : 0;
}

/* The error to fail with, or 0. */
static int faults_next(enum fault_kind kind)
{
	static _Thread_local uint64_t thread; /* 0 until it has its name */
	if (control == NULL)
		return 0;
	if (thread == 0)
		thread = faults_name_thread();
	if ((thread & control->threads) == 0)
		return 0;
	uint64_t number = atomic_fetch_add(&control->calls[kind], 1) + 1;
	if (control->kind != kind + 1U || number < control->number ||
		number >= control->number + control->repeats)
		return 0;
	atomic_fetch_add(&control->fired, 1);
	return (int)control->error;
}

static bool faults_fail(enum fault_kind kind)
{
	int error = faults_next(kind);
	if (error != 0)
		errno = error;
	return error != 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **memory, size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);

void *__wrap_malloc(size_t bytes)
{
	return faults_fail(FAULT_ALLOCATE) ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return faults_fail(FAULT_ALLOCATE) ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return faults_fail(FAULT_ALLOCATE) ? NULL : __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return faults_fail(FAULT_ALLOCATE) ? NULL : __real_aligned_alloc(alignment, bytes);
}

int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes)
{
	return faults_fail(FAULT_ALLOCATE) ? ENOMEM : __real_posix_memalign(memory, alignment, bytes);
}

char *__wrap_strdup(const char *text)
{
	return faults_fail(FAULT_ALLOCATE) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t bytes)
{
	return faults_fail(FAULT_ALLOCATE) ? NULL : __real_strndup(text, bytes);
}

/* Memory for the threads: what else is mapped is a file, of the faults themselves. */
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	if ((flags & MAP_ANONYMOUS) && faults_fail(FAULT_ALLOCATE))
		return MAP_FAILED;
	return __real_mmap(at, bytes, protection, flags, fd, offset);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

/* What each descriptor is registered for: of this thread, which may have a table of its own. */
#define FAULT_DESCRIPTORS 4096

static _Thread_local struct {
	int epoll_fd;
	struct epoll_event event;
} registered[FAULT_DESCRIPTORS];

int __real_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
	if (operation != EPOLL_CTL_DEL && faults_fail(FAULT_REGISTER))
		return -1;
	if (event != NULL && fd >= 0 && fd < FAULT_DESCRIPTORS) {
		registered[fd].epoll_fd = epoll_fd;
		registered[fd].event = *event;
	}
	return __real_epoll_ctl(epoll_fd, operation, fd, event);
}

/* The kernel promises an edge once there is more to do after EAGAIN or less than was asked for: it is asked
 * for one here, as such a call was answered in its place. */
static void faults_bring_edge(int fd)
{
	int error = errno;
	if (fd >= 0 && fd < FAULT_DESCRIPTORS)
		(void)__real_epoll_ctl(registered[fd].epoll_fd, EPOLL_CTL_MOD, fd, &registered[fd].event);
	errno = error;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

int __real_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
int __real_socket(int domain, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *address, socklen_t bytes);
ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __real_recv(int fd, void *buffer, size_t size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t bytes);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *bytes, int flags)
{
	return faults_fail(FAULT_ACCEPT) ? -1 : __real_accept4(fd, address, bytes, flags);
}

int __wrap_socket(int domain, int type, int protocol)
{
	return faults_fail(FAULT_SOCKET) ? -1 : __real_socket(domain, type, protocol);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	return faults_fail(FAULT_CONNECT) ? -1 : __real_connect(fd, address, bytes);
}

/* The first byte of a message. */
static ssize_t faults_send_one(int fd, const struct msghdr *message, int flags)
{
	struct iovec one = {0};
	struct msghdr shorter = {.msg_iov = &one, .msg_iovlen = 1};
	for (size_t i = 0; i < message->msg_iovlen && one.iov_len == 0; i++)
		if (message->msg_iov[i].iov_len > 0)
			one = (struct iovec){.iov_base = message->msg_iov[i].iov_base, .iov_len = 1};
	return __real_sendmsg(fd, &shorter, flags);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	int error = faults_next(FAULT_SEND);
	if (error == 0)
		return __real_sendmsg(fd, message, flags);
	ssize_t sent = error == FAULT_SHORT ? faults_send_one(fd, message, flags) : -1;
	if (error != FAULT_SHORT)
		errno = error;
	if (error == FAULT_SHORT || error == EAGAIN)
		faults_bring_edge(fd);
	return sent;
}

ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = size};
	const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	return __wrap_sendmsg(fd, &message, flags);
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
	int error = faults_next(FAULT_RECEIVE);
	if (error == 0)
		return __real_recv(fd, buffer, size, flags);
	ssize_t received = error == FAULT_SHORT ? __real_recv(fd, buffer, 1, flags) : -1;
	if (error != FAULT_SHORT)
		errno = error;
	if (error == FAULT_SHORT || error == EAGAIN)
		faults_bring_edge(fd);
	return received;
}

/* ---- Pipes ----------------------------------------------------------------------------------- */

int __real_pipe2(int ends[2], int flags);
ssize_t __real_splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags);
int __wrap_pipe2(int ends[2], int flags);
ssize_t __wrap_splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags);

int __wrap_pipe2(int ends[2], int flags)
{
	return faults_fail(FAULT_PIPE) ? -1 : __real_pipe2(ends, flags);
}

/* One of the two is a pipe, which is not registered: it gets no edge, and needs none. */
ssize_t __wrap_splice(int from, off64_t *from_at, int to, off64_t *to_at, size_t bytes, unsigned flags)
{
	int error = faults_next(FAULT_SPLICE);
	if (error == 0)
		return __real_splice(from, from_at, to, to_at, bytes, flags);
	ssize_t moved = error == FAULT_SHORT ? __real_splice(from, from_at, to, to_at, 1, flags) : -1;
	if (error != FAULT_SHORT)
		errno = error;
	if (error == FAULT_SHORT || error == EAGAIN) {
		faults_bring_edge(from);
		faults_bring_edge(to);
	}
	return moved;
}
