#!/usr/bin/env bash
# A Slurm cluster on one machine, two nodes on the loopback interface, for the tests. Debian, as root.
#
#   slurm.sh start [PID]  install what is missing, write the configuration, start; refused while another one runs.
#                         One that was started for the process PID may be replaced when this process is gone.
#   slurm.sh stop         cancel all jobs, stop what this script started, remove the configuration
#   slurm.sh node NAME    start a node's daemon (again, after it was killed)
#
# The configuration must be /etc/slurm/slurm.conf: `srun` within the jobs reads no other file. If the file was not
# written by this script, it belongs to another cluster, and the script stops.
set -euo pipefail

CONF=/etc/slurm/slurm.conf
MARK="# written by tests/cluster/slurm.sh"
RUN=/run/test-cluster       # pid files
STATE=/var/lib/test-cluster # the daemons' state, logs, and the record of finished jobs

fail() { echo "slurm.sh: $*" >&2; exit 1; }

wait_for() { # COMMAND...: wait until it succeeds, at most 20 seconds
    for _ in $(seq 100); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    return 1
}

gone() { ! kill -0 "$1" 2>/dev/null; }

kill_one() { # PID_FILE
    [ -s "$1" ] || return 0
    local pid
    pid=$(cat "$1")
    kill "$pid" 2>/dev/null || true
    wait_for gone "$pid" || kill -9 "$pid" || true
    rm -f "$1"
}

refuse_foreign() {
    if [ -s "$CONF" ] && [ "$(head -n 1 "$CONF")" != "$MARK" ]; then
        fail "$CONF belongs to another cluster; remove it, or run the tests on another machine"
    fi
}

refuse_running() {
    if [ ! -s "$CONF" ] || [[ $(scontrol ping 2>/dev/null) != *UP* ]]; then return 0; fi
    local owner
    owner=$(cat "$RUN/owner" 2>/dev/null || true)
    if [ -z "$owner" ] || ! gone "$owner"; then
        fail "a Slurm is running here, perhaps for another session; if nobody needs it: tests/cluster/slurm.sh stop"
    fi
}

configure() {
    install -d /etc/slurm "$RUN" "$STATE/slurmctld"
    : >"$STATE/jobs.log"
    cat >"$CONF" <<END
$MARK
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=$STATE/slurmctld
SlurmdSpoolDir=$STATE/%n
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/%n.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
DefMemPerCPU=500
EnforcePartLimits=ALL
ReturnToService=2
SlurmdTimeout=10
JobRequeue=0
MinJobAge=3600
KillWait=2
OverTimeLimit=0
JobCompType=jobcomp/filetxt
JobCompLoc=$STATE/jobs.log
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=solid NodeHostname=localhost NodeAddr=127.0.0.1 Port=17001 CPUs=8 RealMemory=32000 State=UNKNOWN
NodeName=frail NodeHostname=localhost NodeAddr=127.0.0.1 Port=17002 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=solid Default=YES MaxTime=INFINITE State=UP
PartitionName=frail Nodes=frail MaxTime=INFINITE State=UP
END
}

start_node() { # NAME
    install -d "$STATE/$1"
    /usr/sbin/slurmd -N "$1"
    wait_for sh -c "sinfo -h -n $1 -o %T | grep -xE 'idle|mixed|allocated'" ||
        fail "the node $1 does not come up, see $STATE/$1.log"
}

start() { # [PID]
    [ "$(id -u)" = 0 ] || fail "needs root"
    refuse_foreign
    refuse_running
    stop
    if ! command -v slurmctld slurmd srun munged >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends \
            slurm-wlm munge >/dev/null
    fi
    configure
    echo "${1:-}" >"$RUN/owner"
    if ! (munge -n | unmunge) >/dev/null 2>&1; then
        install -d -o munge -g munge /run/munge
        runuser -u munge -- /usr/sbin/munged
        touch "$RUN/munged"
        wait_for sh -c 'munge -n | unmunge' || fail "munged does not answer"
    fi
    /usr/sbin/slurmctld
    wait_for sh -c 'scontrol ping | grep UP' || fail "slurmctld does not answer, see $STATE/slurmctld.log"
    start_node solid
    start_node frail
}

stop() {
    [ -s "$CONF" ] || return 0
    refuse_foreign
    if [ -s "$RUN/slurmctld.pid" ] && scontrol ping 2>/dev/null | grep -q UP; then
        scancel --user root || true
        wait_for sh -c '[ -z "$(squeue -h)" ]' || true
    fi
    kill_one "$RUN/solid.pid"
    kill_one "$RUN/frail.pid"
    kill_one "$RUN/slurmctld.pid"
    if [ -e "$RUN/munged" ]; then kill_one /run/munge/munged.pid; fi
    rm -rf "$CONF" "$RUN" "$STATE/slurmctld"
}

case "${1:-}" in
    start) start "${2:-}" ;;
    stop) stop ;;
    node) start_node "$2" ;;
    *) fail "say start, stop or node NAME" ;;
esac
