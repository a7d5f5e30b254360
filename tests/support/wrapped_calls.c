/* wrapped_calls - the calls of connections, which do not go through the C library (base/calls), for programs
 * that take over both: they go to what stands in for the C library's. Owns nothing. */
#include <sys/socket.h>

ssize_t __wrap_call_send_message(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_call_send(int fd, const void *buffer, size_t bytes, int flags);
ssize_t __wrap_call_receive(int fd, void *buffer, size_t bytes, int flags);

ssize_t __wrap_call_send_message(int fd, const struct msghdr *message, int flags)
{
	return sendmsg(fd, message, flags);
}

ssize_t __wrap_call_send(int fd, const void *buffer, size_t bytes, int flags)
{
	return send(fd, buffer, bytes, flags);
}

ssize_t __wrap_call_receive(int fd, void *buffer, size_t bytes, int flags)
{
	return recv(fd, buffer, bytes, flags);
}
