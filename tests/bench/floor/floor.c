/* The least that prints a token: connects, writes, reads, prints. Built static. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    static char request[4096], reply[65536];
    static const char key[] = "\"access_token\":\"";
    const char *path = getenv("SSO_AGENT_SOCK");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = 0;
    if (argc < 3 || !path || strlen(path) >= sizeof address.sun_path) return 2;
    strcpy(address.sun_path, path);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof address)) return 3;
    int n = snprintf(request, sizeof request,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"token.get\",\"params\":{\"host\":\"%s\"}}\n", argv[2]);
    if (n < 0 || n >= (int)sizeof request || write(s, request, n) != n) return 3;
    while (!length || reply[length - 1] != '\n') {
        ssize_t got = read(s, reply + length, sizeof reply - 1 - length);
        if (got <= 0) return 3;
        length += got;
    }
    char *token = strstr(reply, key), *end;
    if (!token || !(end = strchr(token += sizeof key - 1, '"'))) return 1;
    *end = '\n';
    return write(1, token, end + 1 - token) < 0;
}
