#!/usr/bin/env bash
# Calls every method of the five services on a running server, shows each command line with its reply, and checks what
# can be predicted. Through grpcurl where it is installed, else through the project's own tool.
#
#   tour.sh ADDRESS:PORT HOLDFAST      HOLDFAST is the path of the command-line tool
#
# The counter "visits" stays and grows by 2 with each tour; every other object is named after this run and deleted at
# the end. Exits non-zero at the first reply that is not as it must be.
set -euo pipefail

if [ $# -ne 2 ]; then
  sed -n '5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
readonly address=$1 tool=$2
readonly method_count=40 call_timeout_s=30 alarm_timeout_s=15 watch_s=5
run=$(date +%Y%m%d-%H%M%S)-$$
readonly run
scratch=$(mktemp -d)
readonly scratch
trap 'rm -rf "$scratch"' EXIT

if command -v grpcurl >/dev/null; then through=grpcurl; else through=tool; fi
declare -A methods_called=()
reply=''

headline() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() {
  echo "tour: $*" >&2
  exit 1
}

# A word as one would type it.
quoted() {
  if [[ $1 =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then printf '%s' "$1"; else printf "'%s'" "${1//\'/\'\\\'\'}"; fi
}

# SERVICE/METHOD, the request as JSON, and the same as words for the tool. Puts the reply in $reply and runs nothing in a
# subshell. With quiet=1 only what fails is shown. tool_status: the tool's exit status when all is as it must be.
# fails=1: the call must end with an error, which is then in $reply. max_time: after so many seconds grpcurl ends a
# stream that has no end of its own, which to it is an error too.
call() {
  local method=$1 request=$2 status=0 expected=0 word
  local -a command
  if [ "$through" = grpcurl ]; then
    command=(grpcurl -plaintext -emit-defaults ${max_time:+-max-time "$max_time"} -d "$request" "$address"
      "holdfast.v1.$method")
  else
    command=("$tool" --server "$address" --json "${@:3}")
    expected=${tool_status:-0}
  fi
  methods_called[$method]=1
  if [ -z "${quiet:-}" ]; then
    printf '\n$ %s' "$(basename "${command[0]}")"
    for word in "${command[@]:1}"; do printf ' %s' "$(quoted "$word")"; done
    printf '\n'
  fi
  reply=$(timeout "$call_timeout_s" "${command[@]}" 2>&1) || status=$?
  if [ "$through" = grpcurl ] && [ -n "${fails:-}${max_time:-}" ]; then
    # Its status of a failed call tells the code: it is 64 and more. From 124 on the command itself has failed.
    if [ "$status" -gt 64 ] && [ "$status" -lt 124 ]; then expected=$status; else expected='that of an error'; fi
  elif [ -n "${fails:-}" ]; then
    expected=1
  fi
  if [ "$status" != "$expected" ]; then
    fail "$method ended with status $status, not $expected: ${command[*]:1}"$'\n'"$reply"
  fi
  # Line breaks of a pretty-printer are in the way of reading as of searching.
  reply=$(tr '\n' ' ' <<<"$reply" | sed -E 's/ +/ /g; s/ $//')
  if [ -z "${quiet:-}" ]; then printf '%s\n' "$reply"; fi
}

# All values of a field in the last reply, one a line. Both spellings of a name are JSON of the same contract
# (first_sequence, firstSequence), and so are both of a 64-bit number ("5", 5).
fields() {
  local camel
  camel=$(sed -E 's/_(.)/\U\1/g' <<<"$1")
  { grep -oE "\"($1|$camel)\": ?(\"[^\"]*\"|[^][{},\" ]+)" <<<"$reply" || true; } | sed -E 's/^"[^"]*": ?//; s/^"(.*)"$/\1/'
}
# The first of them.
field() { fields "$1" | sed -n 1p; }

expect() { # what, found, wanted
  if [ "$2" != "$3" ]; then fail "$1: found '$2', wanted '$3'; the reply was: $reply"; fi
  say "as expected: $1 = $2"
}

object() { printf '{"object":{"name":"%s"}%s}' "$1" "${2:+,$2}"; }

get_value() { call CounterService/GetValue "$(object "$1")" counter get "$1"; }

tour_of_counters() {
  local before first one=tour-one-$run two=tour-two-$run full=tour-full-$run

  headline "CounterService: GetValue, Increment"
  get_value visits
  before=$(field value)
  say "visits was $before before this tour: it survives restarts, so a second start finds what the first one left"
  call CounterService/Increment "$(object visits '"amount":2')" counter increment visits --amount 2
  expect "the value after" "$(field value)" $((before + 2))
  get_value visits
  expect "the value read" "$(field value)" $((before + 2))

  headline "CounterService: GetUniqueNumber"
  call CounterService/GetUniqueNumber "$(object visits)" counter unique visits
  first=$(field number)
  call CounterService/GetUniqueNumber "$(object visits)" counter unique visits
  expect "the next number" "$(field number)" $((first + 1))

  headline "CounterService: ResetCounter"
  call CounterService/ResetCounter "$(object "$full" '"value":"9223372036854775807"')" \
    counter reset "$full" --value 9223372036854775807
  expect "the value before" "$(field previous_value)" 0

  headline "CounterService: BatchIncrement (a counter at the end of its range fails for itself alone)"
  tool_status=1 call CounterService/BatchIncrement \
    "{\"increments\":[$(object "$one"),$(object "$full"),$(object "$two")]}" \
    counter batch-increment "$one" "$full" "$two"
  expect "the values after" "$(fields value | xargs)" "1 1"
  expect "the code of the one error (OUT_OF_RANGE)" "$(field code)" 11

  headline "CounterService: StreamIncrement"
  local -a round=("{\"increment\":$(object "$one" '"amount":5')}" "{\"increment\":$(object "$two" '"amount":5')}")
  call CounterService/StreamIncrement "${round[*]} ${round[*]}" counter stream "$one" "$two" --amount 5 --count 2
  expect "the results in request order" "$(fields value | xargs)" "6 6 11 11"

  headline "ObjectService: DeleteAll"
  call CounterService/GetUniqueNumber "$(object "$one")" counter unique "$one"
  expect "the first number" "$(field number)" 0
  delete_all "$one" Counter
  delete_all "$two" Counter
  delete_all "$full" Counter
  get_value "$one"
  expect "the value of a deleted counter" "$(field value)" 0
  call CounterService/GetUniqueNumber "$(object "$one")" counter unique "$one"
  expect "its first number" "$(field number)" 0
  quiet=1 delete_all "$one" Counter
}

# Values are bytes, which JSON has in base64.
base64_of() { printf '%s' "$1" | base64 -w 0; }
entry() { printf '{"key":"%s","value":"%s"}' "$1" "${2:-}"; }
texts() {
  local value
  while read -r value; do base64 -d <<<"$value" && echo; done < <(fields value)
}

tour_of_request_ids() {
  local name=tour-once-$run try

  headline "Every change: the same request_id twice has one effect, and the same reply"
  for try in 1 2; do
    call CounterService/Increment "$(object "$name" '"amount":5,"request_id":"once"')" \
      counter increment "$name" --amount 5 --request-id once
    expect "the value after try $try" "$(field value)" 5
  done
  get_value "$name"
  expect "the value read" "$(field value)" 5
  quiet=1 delete_all "$name" Counter
}

tour_of_entries() {
  local name=tour-keys-$run red M blue etag conditions steps end
  red=$(base64_of red) M=$(base64_of M) blue=$(base64_of blue)

  headline "ObjectService: PutEntries, GetEntries, ListEntries, DeleteEntries"
  call ObjectService/PutEntries "$(object "$name" "\"entries\":[$(entry color "$red"),$(entry size "$M"),$(entry old)]")" \
    object put "$name" color=red size=M old=
  call ObjectService/GetEntries "$(object "$name" '"keys":["size","nothing","color"]')" \
    object get "$name" size nothing color
  expect "the keys that exist, in order" "$(fields key | xargs)" "color size"
  expect "their values" "$(texts | xargs)" "red M"
  etag=$(field etag)
  call ObjectService/DeleteEntries "$(object "$name" '"keys":["old","nothing"]')" object delete "$name" old nothing
  expect "how many are deleted" "$(field deleted_count)" 1
  call ObjectService/ListEntries "$(object "$name")" object list "$name"
  expect "the keys that are left" "$(fields key | xargs)" "color size"

  headline "ObjectService: ApplyBatch (a condition that does not hold: nothing is done)"
  conditions='"preconditions":[{"key_absent":"color"}]' steps='"steps":[{"delete_key":"size"}]'
  fails=1 call ObjectService/ApplyBatch "$(object "$name" "$conditions,$steps")" \
    object apply "$name" --if-absent color --delete size
  expect "the reason" "$(field reason)" PRECONDITION_FAILED
  call ObjectService/ListEntries "$(object "$name")" object list "$name"
  expect "the values, as before" "$(texts | xargs)" "red M"
  conditions="\"preconditions\":[{\"etag_equals\":{\"key\":\"color\",\"etag\":\"$etag\"}}]"
  steps="\"steps\":[{\"put\":$(entry color "$blue")},{\"delete_key\":\"size\"}]"
  call ObjectService/ApplyBatch "$(object "$name" "$conditions,$steps")" \
    object apply "$name" --if-etag "color=$etag" --put color=blue --delete size
  call ObjectService/ListEntries "$(object "$name")" object list "$name"
  expect "the values after a batch whose condition holds" "$(texts | xargs)" blue

  headline "ObjectService: ListObjects, DescribeObject, PassivateObject"
  call ObjectService/ListObjects "{\"name_prefix\":\"$name\"}" object objects --prefix "$name"
  expect "the object, which is there since its first write" "$(field name) $(field object_class)" "$name Object"
  call ObjectService/DescribeObject "$(object "$name")" object describe "$name"
  expect "how many keys it has" "$(field key_count)" 1
  expect "whether it is in memory" "$(field activation_state)" ACTIVATION_STATE_ACTIVE
  call ObjectService/PassivateObject "$(object "$name")" object passivate "$name"
  end=$((SECONDS + alarm_timeout_s))
  while :; do
    quiet=1 call ObjectService/DescribeObject "$(object "$name")" object describe "$name"
    [ "$(field activation_state)" != ACTIVATION_STATE_INACTIVE ] || break
    [ "$SECONDS" -lt "$end" ] || fail "the object is still in memory after $alarm_timeout_s s: $reply"
    sleep 0.1
  done
  say "unloaded; the next request loads it again:"
  call ObjectService/GetEntries "$(object "$name" '"keys":["color"]')" object get "$name" color
  expect "its value" "$(texts)" blue
  quiet=1 delete_all "$name" Object
  call ObjectService/ListObjects "{\"name_prefix\":\"$name\"}" object objects --prefix "$name"
  expect "what is listed of it once it is deleted" "$(field name)" ""
}

execute() { # name, statement
  call ObjectService/ExecuteSql "$(object "$1" "\"statements\":[{\"sql\":\"$2\"}]")" sql "$1" "$2"
}

migrate() { # name, migrations
  printf '[%s]' "$2" >"$scratch/migrations.json"
  call ObjectService/MigrateSchema "$(object "$1" "\"migrations\":[$2]")" sql "$1" --migrations "$scratch/migrations.json"
}

tour_of_sql() {
  local name=tour-sql-$run copy=tour-sql-copy-$run
  local first='{"version":1,"statements":[{"sql":"CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)"}]}'
  local second='{"version":2,"statements":[{"sql":"ALTER TABLE users ADD COLUMN email TEXT"}]}'

  headline "ObjectService: MigrateSchema, ExecuteSql"
  migrate "$name" "$first"
  expect "the schema's version" "$(field version_after)" 1
  execute "$name" "INSERT INTO users(name) VALUES ('Ada'), ('Grace')"
  migrate "$name" "$first,$second"
  expect "the schema's version" "$(field version_after)" 2
  execute "$name" "SELECT name AS text, email FROM users ORDER BY id"
  expect "the rows, with the new column" "$(fields text | xargs)" "Ada Grace"
  fails=1 migrate "$name" "$first"
  expect "the reason why an older list is refused" "$(field reason)" SCHEMA_NEWER

  headline "ObjectService: ExportSql, ImportSql (the database as a file of SQLite's; its bytes are not shown)"
  quiet=1 call ObjectService/ExportSql "$(object "$name")" sql "$name" ".export $scratch/users.db"
  quiet=1 call ObjectService/ImportSql "{\"header\":$(object "$copy")} {\"chunk\":\"$(field chunk)\"}" \
    sql "$copy" ".import $scratch/users.db"
  execute "$copy" "SELECT name AS text FROM users ORDER BY id"
  expect "the rows of another object" "$(fields text | xargs)" "Ada Grace"
  quiet=1 delete_all "$name" Object
  quiet=1 delete_all "$copy" Object
}

# The time for which the alarm is set; nothing where none is.
alarm_time() { field scheduled_time | grep -v null || true; }

tour_of_alarms() {
  local name=tour-alarm-$run at token

  headline "ObjectService: SetAlarm, GetAlarm, DeleteAlarm"
  call ObjectService/SetAlarm "$(object "$name" '"scheduled_time":"2100-01-01T00:00:00Z"')" \
    object alarm set "$name" 2100-01-01T00:00:00Z
  call ObjectService/GetAlarm "$(object "$name")" object alarm get "$name"
  expect "when it comes" "$(alarm_time)" 2100-01-01T00:00:00Z
  call ObjectService/DeleteAlarm "$(object "$name")" object alarm delete "$name"
  call ObjectService/GetAlarm "$(object "$name")" object alarm get "$name"
  expect "when it comes once it is deleted" "$(alarm_time)" ""

  headline "ObjectService: WatchAlarms, ExtendAlarmLease, AcknowledgeAlarm"
  at=$(date -u -d '+1 second' +%Y-%m-%dT%H:%M:%SZ)
  call ObjectService/SetAlarm "$(object "$name" "\"scheduled_time\":\"$at\"")" object alarm set "$name" "$at"
  max_time=$watch_s call ObjectService/WatchAlarms "{\"name_prefix\":\"$name\"}" \
    object alarm watch --prefix "$name" --count 1
  expect "the alarm that comes" "$(field name) $(field scheduled_time)" "$name $at"
  expect "attempts before this one" "$(field retry_count)" 0
  token=$(field delivery_token)
  call ObjectService/ExtendAlarmLease "$(object "$name" "\"delivery_token\":\"$token\",\"lease\":\"60s\"")" \
    object alarm extend "$name" "$token" --lease 60s
  call ObjectService/AcknowledgeAlarm "$(object "$name" "\"delivery_token\":\"$token\"")" \
    object alarm ack "$name" "$token"
  fails=1 call ObjectService/AcknowledgeAlarm "$(object "$name" "\"delivery_token\":\"$token\"")" \
    object alarm ack "$name" "$token"
  expect "the reason why a delivery ends only once" "$(field reason)" ALARM_DELIVERY_STALE
  quiet=1 delete_all "$name" Object
}

delete_all() { # name, class
  call ObjectService/DeleteAll "{\"object\":{\"name\":\"$1\",\"object_class\":\"$2\"}}" \
    object delete-all "$1" --class "$2" --yes
}

tour_of_limits() {
  local name=tour-limits-$run limit='"limit":5,"window":"60s"' checks try allowed=''

  headline "RateLimiterService: CheckLimit (5 in 60 s: the sixth is denied, which is an answer and no error)"
  for try in 1 2 3 4 5 6; do
    call RateLimiterService/CheckLimit "$(object "$name" "\"check\":{\"key\":\"alice\",$limit}")" \
      limit check "$name" --key alice --limit 5 --window 60s
    allowed="$allowed $(field allowed)"
    expect "what remains after check $try" "$(field remaining)" $((try < 6 ? 5 - try : 0))
  done
  expect "the six verdicts" "${allowed# }" "true true true true true false"

  headline "RateLimiterService: CheckLimits (all or nothing: alice has no room, so bob's is not counted)"
  checks="\"checks\":[{\"key\":\"alice\",$limit},{\"key\":\"bob\",$limit}]"
  call RateLimiterService/CheckLimits "$(object "$name" "$checks")" \
    limit check-many "$name" --check key=alice,limit=5,window=60s --check key=bob,limit=5,window=60s
  # The verdict on the whole and the one on bob's check are worth a look each, wherever the reply has them.
  expect "the verdicts, sorted" "$(fields allowed | sort | xargs)" "false false true"
  expect "what remains, sorted" "$(fields remaining | sort | xargs)" "0 5"

  headline "RateLimiterService: ResetLimit"
  call RateLimiterService/ResetLimit "$(object "$name" '"key":"alice"')" limit reset "$name" --key alice
  call RateLimiterService/CheckLimit "$(object "$name" "\"check\":{\"key\":\"alice\",$limit}")" \
    limit check "$name" --key alice --limit 5 --window 60s
  expect "alice is allowed again" "$(field allowed)" true
  quiet=1 delete_all "$name" RateLimiter
}

tour_of_batches() {
  local name=tour-mail-$run end

  headline "BatchProcessorService: ConfigureBatch, AddItems, GetBatchStatus"
  call BatchProcessorService/ConfigureBatch \
    "$(object "$name" '"config":{"delay":"1s","max_items":100}')" \
    batch configure "$name" --delay 1s --max-items 100
  expect "the most items that wait" "$(field max_items)" 100
  call BatchProcessorService/AddItems "$(object "$name" '"items":["hello","world"]')" batch add "$name" hello world
  expect "the first sequence number" "$(field first_sequence)" 1
  expect "what is pending" "$(field pending_count)" 2
  end=$((SECONDS + alarm_timeout_s))
  while :; do
    quiet=1 call BatchProcessorService/GetBatchStatus "$(object "$name")" batch status "$name"
    [ "$(field processed_count)" != 2 ] || break
    [ "$SECONDS" -lt "$end" ] || fail "the alarm has not processed the items within $alarm_timeout_s s: $reply"
    sleep 0.1
  done
  call BatchProcessorService/GetBatchStatus "$(object "$name")" batch status "$name"
  expect "what the alarm has processed after a second" "$(field processed_count)" 2
  expect "what is pending" "$(field pending_count)" 0

  headline "BatchProcessorService: FlushBatch, ListProcessedItems"
  call BatchProcessorService/AddItems "$(object "$name" '"items":["again"]')" batch add "$name" again
  call BatchProcessorService/FlushBatch "$(object "$name")" batch flush "$name"
  expect "what the flush has processed, without waiting" "$(field processed_count)" 1
  call BatchProcessorService/ListProcessedItems "$(object "$name")" batch list "$name"
  expect "the items in order" "$(fields item | xargs)" "hello world again"
  expect "their sequence numbers" "$(fields sequence | xargs)" "1 2 3"

  headline "BatchProcessorService: TrimProcessedItems"
  call BatchProcessorService/TrimProcessedItems "$(object "$name" '"up_to_sequence":1')" batch trim "$name" --up-to 1
  expect "how many are removed" "$(field removed_count)" 1
  call BatchProcessorService/ListProcessedItems "$(object "$name")" batch list "$name"
  expect "the items that are left" "$(fields item | xargs)" "world again"

  headline "ObjectService: Cleanup"
  call ObjectService/Cleanup "{\"object\":{\"name\":\"$name\",\"object_class\":\"BatchProcessor\"}}" \
    object cleanup "$name" --class BatchProcessor --yes
  call BatchProcessorService/GetBatchStatus "$(object "$name")" batch status "$name"
  expect "what a cleaned-up object has processed" "$(field processed_count)" 0
  expect "its setting, the default again" "$(field max_items)" 1000
}

tour_of_users() {
  local name=tour-users-$run

  headline "UserCacheService: UpdateUser, GetUser"
  call UserCacheService/UpdateUser \
    "$(object "$name" '"user":{"id":"u1","name":"Ada","email":"ada@example.com","attributes":{"plan":"pro"}},"allow_missing":true')" \
    user update "$name" u1 --name Ada --email ada@example.com --attribute 'plan="pro"'
  expect "the new user's name" "$(field name)" Ada
  call UserCacheService/UpdateUser \
    "$(object "$name" '"user":{"id":"u1","email":"ada@example.org","attributes":{"seats":3}},"allow_missing":true')" \
    user update "$name" u1 --email ada@example.org --attribute seats=3
  call UserCacheService/GetUser "$(object "$name" '"id":"u1"')" user get "$name" u1
  expect "what was not named stays" "$(field name)" Ada
  expect "what was named has changed" "$(field email)" ada@example.org
  expect "attributes are merged" "$(field plan) $(field seats)" "pro 3"

  headline "UserCacheService: BatchGetUsers, ListUsers, DeleteUser"
  quiet=1 call UserCacheService/UpdateUser "$(object "$name" '"user":{"id":"u2","name":"Grace"},"allow_missing":true')" \
    user update "$name" u2 --name Grace
  call UserCacheService/BatchGetUsers "$(object "$name" '"ids":["u2","nobody","u1"]')" user batch-get "$name" u2 nobody u1
  expect "those that exist, in the order asked" "$(fields id | xargs)" "u2 u1"
  call UserCacheService/DeleteUser "$(object "$name" '"id":"u2"')" user delete "$name" u2
  call UserCacheService/ListUsers "$(object "$name")" user list "$name"
  expect "those that are left" "$(fields id | xargs)" u1
  quiet=1 delete_all "$name" UserCache
}

if [ "$through" = grpcurl ]; then
  echo "The tour goes through grpcurl, which learns the contract from the server itself."
else
  echo "The tour goes through the tool 'holdfast', which is $tool (grpcurl is not installed)."
fi
tour_of_counters
tour_of_limits
tour_of_batches
tour_of_users
tour_of_entries
tour_of_sql
tour_of_alarms
tour_of_request_ids

[ ${#methods_called[@]} -eq "$method_count" ] ||
  fail "called ${#methods_called[@]} methods, not all $method_count: ${!methods_called[*]}"
get_value visits >/dev/null
printf '\nThe tour is over: all %s methods answered as they must. visits is %s.\n' "$method_count" "$(field value)"
