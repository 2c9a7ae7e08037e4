# Runs "$@" and ends it, with all that it started, when standard input ends.
# Everything here is one process group, and this shell leads it.

# The group's TERM is for the program. (A trap, not an ignored signal: that would be inherited.)
trap : TERM

exec 3<&0 </dev/null
"$@" 3<&- &
program=$!

{
    trap '' TERM
    cat <&3 >/dev/null
    kill -TERM 0
    for second in 1 2 3 4 5; do
        sleep 1
        kill -0 "$program" || break
    done
    kill -KILL 0
} >/dev/null 2>&1 &
exec 3<&-

wait "$program"
status=$?
# A trapped signal ends `wait` before the program has ended.
while [ "$status" -gt 128 ] && kill -0 "$program" 2>/dev/null; do
    wait "$program"
    status=$?
done
exit "$status"
