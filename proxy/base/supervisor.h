/* supervisor - tells who started the proxy how it stands, by systemd's protocol (sd_notify). Owns nothing. */
#ifndef BASE_SUPERVISOR_H
#define BASE_SUPERVISOR_H

/* Tell it, for example "READY=1" or "STOPPING=1", see sd_notify(3). Nobody is told where the environment
 * names no NOTIFY_SOCKET. A failure is said in the log: where a unit has Type=notify, its start then times
 * out. */
void supervisor_tell(const char *state);

#endif
