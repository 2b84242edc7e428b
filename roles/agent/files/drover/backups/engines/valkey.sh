# A client of Valkey or Redis in its own image; the server is at 127.0.0.1.
cli="$(command -v valkey-cli || command -v redis-cli)" || exit 127
REDISCLI_AUTH="${VALKEY_PASSWORD-${REDIS_PASSWORD-}}"
for file in "${VALKEY_PASSWORD_FILE-}" "${REDIS_PASSWORD_FILE-}"; do
  if [ -z "$REDISCLI_AUTH" ] && [ -n "$file" ]; then REDISCLI_AUTH="$(cat "$file")"; fi
done
if [ -n "$REDISCLI_AUTH" ]; then export REDISCLI_AUTH VALKEYCLI_AUTH="$REDISCLI_AUTH"; else unset REDISCLI_AUTH; fi
ask() { "$cli" -h 127.0.0.1 "$@"; }
says() { ask info persistence | tr -d '\r' | grep -q "^$1\$"; }

ready() {
  tries=0
  until said="$(ask ping 2>&1)" && [ "$said" = PONG ] && says loading:0; do
    case "$said" in
      *NOAUTH* | *WRONGPASS*) echo "it wants a password: name it in VALKEY_PASSWORD_FILE of the service" >&2; exit 1 ;;
    esac
    tries=$((tries + 1))
    if [ "$tries" -gt 1500 ]; then echo "it does not get ready: $said" >&2; exit 1; fi
    sleep 0.2
  done
}

dump() {
  ready
  ask --rdb - >"$PIPE"
}

# Keys that stay (without a time to live), each with a digest of its value; about $MOST of each database. Sets and
# hashes have an order that each server chooses anew, and how a value is packed depends on its past: so members are
# what is compared, sorted where they have no order; of more than 1,000 their number, and of those in order both ends.
sample() {
  ready
  script='
local most = 1000  -- so that a page of keys holds the server up for a moment only
local sizes = {set = "SCARD", hash = "HLEN", list = "LLEN", zset = "ZCARD"}
local function value(key)
  local kind = redis.call("TYPE", key).ok
  if kind == "string" then return redis.call("GET", key) end
  if not sizes[kind] then return redis.call("DUMP", key) end
  local size = redis.call(sizes[kind], key)
  local found = {kind, tostring(size)}
  local function add(items)
    for _, item in ipairs(items) do found[#found + 1] = redis.sha1hex(item) end
  end
  if kind == "set" and size <= most then
    local items = redis.call("SMEMBERS", key)
    table.sort(items)
    add(items)
  elseif kind == "hash" and size <= most then
    local items, pairs = redis.call("HGETALL", key), {}
    for n = 1, #items, 2 do pairs[#pairs + 1] = redis.sha1hex(items[n]) .. redis.sha1hex(items[n + 1]) end
    table.sort(pairs)
    add(pairs)
  elseif kind == "list" then
    add(redis.call("LRANGE", key, 0, most / 2 - 1))
    add(redis.call("LRANGE", key, -most / 2, -1))
  elseif kind == "zset" then
    add(redis.call("ZRANGE", key, 0, most / 2 - 1, "WITHSCORES"))
    add(redis.call("ZRANGE", key, -most / 2, -1, "WITHSCORES"))
  end
  return table.concat(found, " ")
end
local page = redis.call("SCAN", ARGV[1], "COUNT", "100")
local found = {page[1]}
for _, key in ipairs(page[2]) do
  if redis.call("PTTL", key) == -1 then
    found[#found + 1] = redis.sha1hex(key) .. " " .. redis.sha1hex(value(key))
  end
end
return found'
  for base in $(ask info keyspace | tr -d '\r' | sed -n 's/^db\([0-9]*\):.*/\1/p'); do
    cursor=0 count=0
    while :; do
      page="$(ask --raw -n "$base" eval "$script" 0 "$cursor")" || exit 1
      cursor="$(printf '%s\n' "$page" | head -n 1)"
      case "$cursor" in *[!0-9]* | '') echo "$page" >&2; exit 1 ;; esac
      printf '%s\n' "$page" | sed -n "2,\$s/^/$base:/p"
      count=$((count + 100))
      if [ "$cursor" = 0 ] || [ "$count" -ge "$MOST" ]; then break; fi
    done
  done
}

# A server that keeps a log of its changes reads nothing else at its next start.
keep() {
  well "$(ask config set appendonly yes)"
  until says aof_rewrite_scheduled:0 && says aof_rewrite_in_progress:0; do sleep 0.2; done
  says aof_enabled:1 && says aof_last_bgrewrite_status:ok || well "the log of its changes was not written"
  well "$(ask save)"
}

# It tells an error as an answer like any other.
well() {
  if [ "$1" != OK ]; then echo "$1" >&2; exit 1; fi
}

# Each database with the number of its keys.
count() {
  ready
  ask info keyspace | tr -d '\r' | sed -n "s/^\(db[0-9]*\):keys=\([0-9]*\).*/\1$(printf '\t')\2/p"
}
