#!/bin/sh
# Starts workerd so that it cannot outlive the process that started it, however that one ends.
# Descriptor 3 is workerd's control channel, a socket: reading it blocks until the other end is gone.
# The pid file says whether this workerd is still the one in charge, so that no reused pid is ever hit.
echo $$ >"$EDGELOG_WORKERD_PID_FILE" || exit 1
(
  cat <&3 >/dev/null
  [ "$(cat "$EDGELOG_WORKERD_PID_FILE")" = $$ ] && kill -9 $$
) >/dev/null 2>&1 &
# Ctrl-C in a terminal reaches every process of the group; when this one ends is its parent's decision.
trap "" INT HUP
exec "$EDGELOG_WORKERD" "$@"
