# A client of MongoDB in its own image; the server is at 127.0.0.1. The password is in a file: a command line is seen.
umask 077
password="${MONGO_INITDB_ROOT_PASSWORD-}" user="${MONGO_INITDB_ROOT_USERNAME-}"
if [ -z "$password" ] && [ -n "${MONGO_INITDB_ROOT_PASSWORD_FILE-}" ]; then
  password="$(cat "$MONGO_INITDB_ROOT_PASSWORD_FILE")"
fi
if [ -z "$user" ] && [ -n "${MONGO_INITDB_ROOT_USERNAME_FILE-}" ]; then
  user="$(cat "$MONGO_INITDB_ROOT_USERNAME_FILE")"
fi
export GOMEMLIMIT=200MiB # of the 256 that a client has
tool() {
  program="$1"
  shift
  if [ -n "$user" ]; then
    printf 'password: "%s"\n' "$(printf %s "$password" | sed 's/[\\"]/\\&/g')" >/tmp/mongo.yml
    set -- --config=/tmp/mongo.yml --username="$user" --authenticationDatabase=admin "$@"
  fi
  "$program" --numParallelCollections=1 "$@"
}

dump() { tool mongodump --host=127.0.0.1 --archive >"$PIPE"; }

# The server with which the image makes its first user is at 127.0.0.1 alone, and ends; the real one is at every address.
ready() {
  end=$(($(date +%s) + 300))
  until said="$(tool mongodump --host=127.0.0.2 --db=admin --collection=none --archive=/dev/null 2>&1)"; do
    if [ "$(date +%s)" -gt "$end" ]; then echo "the copy did not get ready: $said" >&2; exit 1; fi
    sleep 1
  done
}

load() {
  ready
  tool mongorestore --host=127.0.0.2 --drop --stopOnError --archive <"$PIPE"
}

# From elsewhere: without its users, since this host has its own.
accept() {
  ready
  tool mongorestore --host=127.0.0.2 --drop --stopOnError --nsExclude='admin.*' --nsExclude='config.*' --archive <"$PIPE"
}

# Each collection with the number of its documents.
count() {
  ready
  export user password
  mongosh --quiet --host 127.0.0.1 --eval '
const name = process.env.user;
if (name) db.getSiblingDB("admin").auth(name, process.env.password);
for (const base of db.adminCommand({listDatabases: 1, nameOnly: true}).databases) {
  if (["admin", "config", "local"].includes(base.name)) continue;
  const one = db.getSiblingDB(base.name);
  for (const kind of one.getCollectionInfos({type: "collection"})) {
    if (kind.name.startsWith("system.")) continue;
    print(base.name + ": " + kind.name + "\t" + one.getCollection(kind.name).countDocuments({}));
  }
}'
}
