/* calls - receiving and sending without points of cancellation (see calls.h). */
#include "base/calls.h"

#include <sys/syscall.h>
#include <unistd.h>

#ifdef SRSD_SANITIZED

ssize_t call_receive(int fd, void *buffer, size_t bytes, int flags)
{
	return recv(fd, buffer, bytes, flags);
}

ssize_t call_send(int fd, const void *buffer, size_t bytes, int flags)
{
	return send(fd, buffer, bytes, flags);
}

ssize_t call_send_message(int fd, const struct msghdr *message, int flags)
{
	return sendmsg(fd, message, flags);
}

#else

ssize_t call_receive(int fd, void *buffer, size_t bytes, int flags)
{
	return syscall(SYS_recvfrom, fd, buffer, bytes, flags, NULL, NULL);
}

ssize_t call_send(int fd, const void *buffer, size_t bytes, int flags)
{
	return syscall(SYS_sendto, fd, buffer, bytes, flags, NULL, 0);
}

ssize_t call_send_message(int fd, const struct msghdr *message, int flags)
{
	return syscall(SYS_sendmsg, fd, message, flags);
}

#endif
