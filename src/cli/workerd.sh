#!/bin/sh
# Starts workerd so that it cannot outlive the process that started it, however that one ends.
# Descriptor 3 is workerd's control channel, a socket: reading it blocks until the other end is gone.
# The pid file says whether this workerd is still the one in charge, so that a reused pid is not hit. It is kept open:
# the data directory may have been deleted by then.
echo $$ >"$EDGELOG_WORKERD_PID_FILE" || exit 1
(
  exec 4<"$EDGELOG_WORKERD_PID_FILE"
  cat <&3 >/dev/null
  [ "$(cat <&4)" = $$ ] && kill -9 $$
) >/dev/null 2>&1 &
# Ctrl-C in a terminal reaches every process of the group; when this one ends is its parent's decision.
trap "" INT HUP
exec "$EDGELOG_WORKERD" "$@"
