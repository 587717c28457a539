# The walls of the bottle: the host's files, processes, sockets, mounts, new namespaces, other users.
# Whatever succeeds is undone, for then it was done to the host.
need python3 getent
control workspace yes "$([ -d /workspace ] && echo yes)"
control own-files yes "$(date >"$T/file" && [ -s "$T/file" ] && echo yes)"
for socket in /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/systemd/private /run/dbus/system_bus_socket; do
	attack "$socket" absent "$([ -e $socket ] && echo there || echo absent)"
done
attack queue absent "$(find / -xdev \( -name '*.proposal.json' -o -name 'bundle.jsonl' -o -name 'routes.yaml' -o -name 'ca-key.pem' \) 2>error | grep -q . && echo there || echo absent)"
attack bundle-process hidden "$(cat /proc/[0-9]*/comm 2>error | grep -qxE 'sidecars|pipelock|dockerd' && echo seen || echo hidden)"
attack set-user none "$(find /usr /bin /sbin -xdev -perm -4000 -user root 2>error | head -n 1 | { read -r program && "$program" --version >out 2>&1 && [ "$(id -u)" = 0 ] && echo root || echo none; })"
for words in 'unshare -n true' 'unshare -m true' 'chroot / true' 'nsenter -t 1 -n true' 'sudo -n true' 'su -c true root'; do
	attack "$words" refused "$(timeout 5 $words >out 2>error </dev/null && echo done || echo refused)"
done
mkdir "$T/mount"
attack mount refused "$(mount -t tmpfs none "$T/mount" 2>error && echo done || echo refused)"
umount "$T/mount" 2>error
python <<'PY'
import subprocess
def attempt(name, call, want="refused"):
    """Whether it was done; in a process of its own, so that it changes no other."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            result = call()
            os._exit(1 if result is not None and result < 0 else 0)
        except (OSError, subprocess.SubprocessError):
            os._exit(1)
        finally:
            os._exit(2)
    got = {0: "done", 1: "refused"}.get(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "failed")
    attack(name, want, got)
    return got == "done"

def readable(file):
    try:
        if not os.path.isdir(file):
            return bool(open(file, "rb", buffering=0).read(4096))
        return bool(os.listdir(file))
    except OSError:
        return False

def writable(file):
    there = os.path.exists(file)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    except OSError:
        return False
    if not there:
        os.remove(file)
    return True

KEYCTL, BPF = (250, 321) if os.uname().machine == "x86_64" else (219, 280)
def keyctl(operation, *arguments): return libc.syscall(ctypes.c_long(KEYCTL), operation, -3, *arguments) # of the session's keyring

def walls(where=""):
    """What no process of the bottle may do, whatever rights it got itself."""
    for file in """/etc/shadow /etc/ssh /root/.ssh /proc/1/environ /proc/1/root/etc/passwd /proc/kcore /proc/kallsyms-all /dev/mem /dev/kmsg /dev/sda
            /dev/vda /dev/kvm /dev/net/tun /dev/fuse /sys/kernel/debug/x /run/supervise/queue /run/audit/bundle.jsonl /etc/egress/ca-key.pem
            /etc/egress/routes.yaml /etc/git-gate/config.yaml /etc/pipelock.yaml /var/lib/docker /home/agent/.ssh/id_ed25519""".split():
        attack(f"{where}read {file}", "unreadable", "readable" if readable(file) else "unreadable")
    for file in """/usr/bin/attack /bin/attack /lib/attack /etc/attack /proc/sys/kernel/core_pattern /proc/sysrq-trigger
            /proc/sys/net/ipv4/ip_forward /sys/attack""".split():
        attack(f"{where}write {file}", "refused", "written" if writable(file) else "refused")
    for name, call in {
        "trace init": lambda: libc.ptrace(0x4206, 1, 0, 0),
        "open memory of init": lambda: os.close(os.open("/proc/1/mem", os.O_RDONLY)),
        "join the network of init": lambda: libc.setns(os.open("/proc/1/ns/net", os.O_RDONLY), 0),
        "keys of others": lambda: keyctl(11, None, 0) or -1,
        "bpf": lambda: libc.syscall(ctypes.c_long(BPF), 0, None, 0),
        "io_uring": lambda: libc.syscall(ctypes.c_long(425), 1, ctypes.create_string_buffer(120)),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
        "packet socket": lambda: socket.socket(17, socket.SOCK_RAW, 0x0300).close(),
        "block device": lambda: os.mknod("disk", 0o60600, os.makedev(8, 0)),
        "abstract sockets": lambda: -1 if not [l for l in open("/proc/net/unix") if "@" in l and "claude-bottle" in l] else 0,
    }.items():
        attempt(where + name, call)

def new_user_namespace(): return libc.unshare(0x10000000)

walls()
attempt("become root", lambda: libc.setuid(0))
attempt("new network", lambda: libc.unshare(0x40000000))
attempt("keep a capability", lambda: libc.prctl(23, 12, 0, 0, 0) - 1)
# A kernel of the bottle's own may make keys and namespaces of itself, if they
# lead through no wall.
own = "refused|done" if gvisor() else "refused"
attempt("kernel keys", lambda: keyctl(0, 1), own)
attempt("unshare -Ur true", lambda: subprocess.run(["unshare", "-Ur", "true"], stderr=subprocess.DEVNULL, timeout=5).returncode and -1, own)
if attempt("new user namespace", new_user_namespace, own):
    uid, gid = os.getuid(), os.getgid()
    new_user_namespace()
    for file, line in ("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1"):
        with open("/proc/self/" + file, "w") as f:
            f.write(line)
    control("user in a namespace", "root", "root" if os.getuid() == 0 else "another")
    walls("as root of a namespace: ")
PY
