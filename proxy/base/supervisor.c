/* supervisor - tells who started the proxy how it stands (see supervisor.h). */
#include "base/supervisor.h"

#include "base/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* 0, or what went wrong. */
static int supervisor_send(const char *path, const char *state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t bytes = strlen(path);
	if (bytes >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	memcpy(address.sun_path, path, bytes);
	if (path[0] == '@') /* the kernel's own names begin with a zero byte */
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	int error = 0;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes)) < 0)
		error = errno;
	close(fd);
	return error;
}

void supervisor_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (path == NULL || path[0] == '\0')
		return;
	int error = supervisor_send(path, state);
	if (error != 0)
		log_event(LOG_WARNING, "supervisor not told", LOG_TEXT("socket", path),
			LOG_TEXT("state", state), LOG_TEXT("reason", strerror(error)));
}
