# The bare floor: what the demo needs, typed by hand on a fresh host by somebody who wants nothing else. It runs the
# demo's own Compose files with the same packages and images, and ends when every URL answers.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends docker.io docker-cli docker-compose iptables unattended-upgrades \
  systemd-timesyncd apprise >/dev/null
cat >/etc/docker/daemon.json <<'JSON'
{"registry-mirrors": ["http://10.77.0.5:5000"], "insecure-registries": ["10.77.0.5:5000"]}
JSON
systemctl restart docker
mkdir -p /root/compose /srv/proxy/routes && tar -C /root/compose -xzf /root/floor.tgz
cat >/srv/proxy/routes/floor.yml <<'YAML'
http:
  routers:
    shop: {rule: "Host(`shop.demo.example`)", service: shop}
    api: {rule: "Host(`api.shop.demo.example`)", service: api}
    notes: {rule: "Host(`notes.demo.example`)", service: notes}
  services:
    shop: {loadBalancer: {servers: [{url: "http://shop-frontend-1:8080"}]}}
    api: {loadBalancer: {servers: [{url: "http://shop-backend-1:8080"}]}}
    notes: {loadBalancer: {servers: [{url: "http://notes-app-1:8080"}]}}
YAML
cd /root/compose
install -d -m 0755 examples/mvp/.secrets && echo floor-password >examples/mvp/.secrets/db_password
chmod 0644 examples/mvp/.secrets/db_password
# The example publishes ports for use by hand; here the proxy is the way in.
cat >/root/shop.yml <<'YAML'
services:
  frontend: {ports: !reset []}
  backend: {ports: !reset []}
YAML
cat >/root/notes.yml <<'YAML'
services:
  app: {ports: !reset []}
YAML
docker compose -p proxy -f traefik/compose.yaml up -d
docker compose -p shop -f examples/mvp/compose.yaml -f /root/shop.yml up -d
IMAGE=drover/demo-notes VERSION=1.0.0 docker compose -p notes -f app/compose.yaml -f /root/notes.yml up -d
docker network connect shop_default proxy-traefik-1
docker network connect notes_default proxy-traefik-1
for name in shop api.shop notes; do
  until [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: $name.demo.example" http://127.0.0.1/up)" = 200 ]; do
    sleep 0.1
  done
done
