# A client of MongoDB in its own image; the server is at 127.0.0.1. The password is in a file: a command line is seen.
umask 077
password="${MONGO_INITDB_ROOT_PASSWORD-}" user="${MONGO_INITDB_ROOT_USERNAME-}"
if [ -z "$password" ] && [ -n "${MONGO_INITDB_ROOT_PASSWORD_FILE-}" ]; then
  password="$(cat "$MONGO_INITDB_ROOT_PASSWORD_FILE")"
fi
if [ -z "$user" ] && [ -n "${MONGO_INITDB_ROOT_USERNAME_FILE-}" ]; then
  user="$(cat "$MONGO_INITDB_ROOT_USERNAME_FILE")"
fi
export user password
tool() {
  program="$1"
  shift
  if [ -n "$user" ]; then
    printf 'password: "%s"\n' "$(printf %s "$password" | sed 's/[\\"]/\\&/g')" >/tmp/mongo.yml
    set -- --config=/tmp/mongo.yml --username="$user" --authenticationDatabase=admin "$@"
  fi
  "$program" --host=127.0.0.1 "$@"
}
shell() {
  mongosh --quiet --host 127.0.0.1 --eval '
    const name = process.env.user;
    if (name) db.getSiblingDB("admin").auth(name, process.env.password);' --eval "$1"
}

dump() { tool mongodump --quiet --archive >"$PIPE"; }

ready() {
  tries=0
  until said="$(shell 'db.hello().ok' 2>&1)"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ]; then echo "the copy did not get ready: $said" >&2; exit 1; fi
    sleep 1
  done
}

load() {
  ready
  tool mongorestore --quiet --drop --stopOnError --archive <"$PIPE"
}

# Documents, each with a digest of all it holds: of each collection the first $MOST; and its indexes.
sample() {
  shell '
const most = Number(process.env.MOST), crypto = require("crypto");
const sha = (text) => crypto.createHash("sha256").update(text).digest("hex").slice(0, 32);
for (const base of db.adminCommand({listDatabases: 1, nameOnly: true}).databases) {
  if (["admin", "config", "local"].includes(base.name)) continue;
  const one = db.getSiblingDB(base.name);
  for (const kind of one.getCollectionInfos({type: "collection"})) {
    if (kind.name.startsWith("system.")) continue;
    const place = sha(base.name + "." + kind.name), all = one.getCollection(kind.name);
    print(place + ":indexes " + sha(JSON.stringify(all.getIndexes().map((each) => [each.name, each.key]))));
    all.find().sort({_id: 1}).limit(most).forEach((each) => print(
      place + ":" + sha(EJSON.stringify(each._id)) + " " + sha(EJSON.stringify(each, {relaxed: false}))));
  }
}'
}

# From elsewhere: without its users, since this host has its own.
accept() {
  ready
  tool mongorestore --quiet --drop --stopOnError --nsExclude='admin.*' --nsExclude='config.*' --archive <"$PIPE"
}

# Each collection with the number of its documents.
count() {
  ready
  shell '
for (const base of db.adminCommand({listDatabases: 1, nameOnly: true}).databases) {
  if (["admin", "config", "local"].includes(base.name)) continue;
  const one = db.getSiblingDB(base.name);
  for (const kind of one.getCollectionInfos({type: "collection"})) {
    if (kind.name.startsWith("system.")) continue;
    print(base.name + ": " + kind.name + "\t" + one.getCollection(kind.name).countDocuments({}));
  }
}'
}
