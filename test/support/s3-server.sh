#!/usr/bin/env bash
# A real S3 server for the storage tests: Ceph's RADOS Gateway, from Debian's packages.
#
#   s3-server.sh start FOLDER PORT   installs the packages if they are missing (103 MB, root only), starts the server on
#                                    127.0.0.1:PORT and prints the variables S3_TEST_* that the tests read
#   s3-server.sh stop FOLDER         stops what was started there and deletes FOLDER
#
# It needs about 1.5 s to start and 110 MB of memory. Objects live in memory (2 MB for each MB stored), so they are gone
# after a stop. The monitor listens on PORT+4300, the storage daemon on a free port from 6800 on, all on 127.0.0.1.
# There is no ceph-mgr: reads and writes of objects do not need it, and it takes 300 MB.
#
# Differences from AWS: it accepts x-amz-checksum without a check (it does check Content-MD5), refuses a quoted ETag in
# If-Match, ignores If-None-Match on CompleteMultipartUpload, and leaves many error messages empty.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

access_key=millrace
secret_key=millrace-secret

log() { echo "s3-server: $*" >&2; }
fail() { log "$*"; exit 1; }

# Prints the pid of the daemon $1 if it runs on this folder's configuration: after a crash a pid file may name a process
# of another program.
find_pid() {
  local pid
  pid=$(cat "$folder/$1.pid" 2>/dev/null) && [ -n "$pid" ] &&
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$folder/ceph.conf" && echo "$pid"
}

stop_daemons() {
  local name pid
  for name in rgw osd mon; do
    pid=$(find_pid "$name") || continue
    kill -KILL "$pid" 2>/dev/null || true # nothing is kept, so there is nothing to flush
    for _ in $(seq 100); do find_pid "$name" >/dev/null || break; sleep 0.05; done
  done
}

install_packages() {
  local missing=() pair
  for pair in ceph-mon:ceph-mon ceph-osd:ceph-osd radosgw:radosgw radosgw-admin:radosgw ceph:ceph-common \
    ceph-authtool:ceph-common monmaptool:ceph-common uuidgen:uuid-runtime curl:curl; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || fail "not installed: ${missing[*]} (only root can install them)"
  log "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Keeps Debian from starting the daemons as system services.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  local install=(apt-get install -y -qq --no-install-recommends "${missing[@]}")
  "${install[@]}" >/dev/null 2>&1 || { apt-get update -qq && "${install[@]}"; } >&2 ||
    fail 'apt-get could not install the packages'
}

write_config() {
  cat >"$folder/ceph.conf" <<CONFIG
[global]
fsid = $(uuidgen)
mon_host = [v2:127.0.0.1:$((port + 4300))]
keyring = $folder/keyring
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_msgr1 = false
ms_async_op_threads = 2
run_dir = $folder/run
admin_socket = $folder/run/\$name.asok
log_file = $folder/log/\$name.log
crash_dir = $folder/run/crash
log_to_stderr = false
debug_ms = 0
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_warn_on_pool_no_redundancy = false

[mon]
mon_data = $folder/mon
pid_file = $folder/mon.pid
mon_initial_members = a
mon_data_avail_warn = 1
mon_data_avail_crit = 0
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_memory_target = 134217728
rocksdb_cache_size = 16777216

[osd]
osd_data = $folder/osd
pid_file = $folder/osd.pid
osd_objectstore = memstore
memstore_device_bytes = 17179869184
osd_op_num_shards = 1
osd_op_num_threads_per_shard = 2

[client.rgw]
rgw_data = $folder/rgw
pid_file = $folder/rgw.pid
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_thread_pool_size = 64
rgw_num_rados_handles = 1
rgw_enable_usage_log = false
rgw_enable_ops_log = false
rgw_override_bucket_index_max_shards = 1
rgw_dynamic_resharding = false
rgw_relaxed_region_enforcement = true
rgw_crypt_require_ssl = false
rgw_rados_pool_pg_num_min = 1
rgw_gc_obj_min_wait = 30
rgw_gc_processor_period = 30
rgw_gc_processor_max_time = 30
CONFIG
}

# Creates the cluster and starts its three daemons. `&&` ends it at the first failure: the caller tests the result, and
# bash then ignores `set -e`.
start_daemons() {
  local config=$folder/ceph.conf keyring=$folder/keyring osd_id
  osd_id=$(uuidgen)
  ceph-authtool --create-keyring "$keyring" --gen-key -n mon. --cap mon 'allow *' &&
  ceph-authtool "$keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' &&
  ceph-authtool "$keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' &&
  ceph-authtool "$keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' &&
  monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$config")" \
    --addv a "[v2:127.0.0.1:$((port + 4300))]" "$folder/monmap" &&
  ceph-mon -c "$config" -i a --mkfs --monmap "$folder/monmap" --keyring "$keyring" &&
  ceph-mon -c "$config" -i a &&
  ceph -c "$config" --connect-timeout 30 osd new "$osd_id" &&
  ceph-osd -c "$config" -i 0 --mkfs --osd-uuid "$osd_id" --no-mon-config &&
  ceph-osd -c "$config" -i 0 &&
  radosgw -c "$config" -n client.rgw
}

answers() { [ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' "http://127.0.0.1:$port/")" = 200 ]; }

fail_with_logs() {
  log "$1; the last lines of its logs:"
  tail -n 5 "$folder"/log/*.log >&2 || true
  stop_daemons
  exit 1
}

start() {
  [ "$port" -le 61000 ] || fail "the port must be 61000 or less: $port"
  [ ${#folder} -le 80 ] || fail "the path is too long for a Unix socket (80 characters at most): $folder"
  [ ! -e "$folder" ] || [ -e "$folder/.s3-server" ] || fail "$folder exists and was not created by s3-server.sh"
  install_packages
  stop_daemons
  rm -rf "$folder"
  mkdir -p "$folder"/{mon,osd,rgw,log,run}
  touch "$folder/.s3-server"
  write_config
  start_daemons >>"$folder/log/setup.log" 2>&1 || fail_with_logs 'a daemon did not start'
  for _ in $(seq 240); do
    answers && break
    find_pid rgw >/dev/null || { sleep 1; find_pid rgw >/dev/null || break; }
    sleep 0.25
  done
  answers || fail_with_logs "the server does not answer on port $port"
  radosgw-admin -c "$folder/ceph.conf" -n client.rgw --admin-socket= user create --uid=millrace \
    --display-name=millrace --access-key="$access_key" --secret="$secret_key" --max-buckets=0 \
    >>"$folder/log/setup.log" 2>&1 || fail_with_logs 'the user could not be created'
  echo "S3_TEST_ENDPOINT=http://127.0.0.1:$port"
  echo "S3_TEST_ACCESS_KEY_ID=$access_key"
  echo "S3_TEST_SECRET_ACCESS_KEY=$secret_key"
}

stop() {
  [ -e "$folder/.s3-server" ] || return 0
  stop_daemons
  rm -rf "$folder"
}

usage='Usage: s3-server.sh start FOLDER PORT | stop FOLDER'
command=${1:-}
folder=$(realpath -m -- "${2:?$usage}")
case $command in
  start) port=${3:?$usage}; start ;;
  stop) stop ;;
  *) fail "$usage" ;;
esac
