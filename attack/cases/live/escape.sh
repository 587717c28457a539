# The walls of the bottle: the host's files, processes, sockets, mounts, new namespaces, other users.
# Whatever succeeds is undone, for then it was done to the host.
need python3 getent
control workspace yes "$([ -d /workspace ] && echo yes)"
control own-files yes "$(date >"$T/file" && [ -s "$T/file" ] && echo yes)"
for socket in /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/systemd/private /run/dbus/system_bus_socket; do
	attack "$socket" absent "$([ -e $socket ] && echo there || echo absent)"
done
for file in /etc/shadow /etc/ssh /root/.ssh /proc/1/environ /proc/1/root/etc/passwd /proc/kcore /proc/kallsyms-all /dev/mem /dev/kmsg /dev/sda \
	/dev/vda /dev/kvm /dev/net/tun /dev/fuse /sys/kernel/debug/x /run/supervise/queue /run/audit/bundle.jsonl /etc/egress/ca-key.pem \
	/etc/egress/routes.yaml /etc/git-gate/config.yaml /etc/pipelock.yaml /var/lib/docker /home/agent/.ssh/id_ed25519; do
	attack "read $file" unreadable "$({ head -c 1 "$file" || ls "$file/"; } >out 2>error && [ -s out ] && echo readable || echo unreadable)"
done
for file in /usr/bin/attack /bin/attack /lib/attack /etc/attack /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/net/ipv4/ip_forward /sys/attack; do
	there=$([ -e "$file" ] && echo there)
	attack "write $file" refused "$( (: >>"$file") 2>error && echo written || echo refused)"
	[ -n "$there" ] || rm -f "$file" 2>error
done
attack queue absent "$(find / -xdev \( -name '*.proposal.json' -o -name 'bundle.jsonl' -o -name 'routes.yaml' -o -name 'ca-key.pem' \) 2>error | grep -q . && echo there || echo absent)"
attack bundle-process hidden "$(cat /proc/[0-9]*/comm 2>error | grep -qxE 'sidecars|pipelock|dockerd' && echo seen || echo hidden)"
attack set-user none "$(find /usr /bin /sbin -xdev -perm -4000 -user root 2>error | head -n 1 | { read -r program && "$program" --version >out 2>&1 && [ "$(id -u)" = 0 ] && echo root || echo none; })"
for words in 'unshare -Ur true' 'unshare -n true' 'unshare -m true' 'chroot / true' 'nsenter -t 1 -n true' 'sudo -n true' 'su -c true root'; do
	attack "$words" refused "$(timeout 5 $words >out 2>error </dev/null && echo done || echo refused)"
done
mkdir "$T/mount"
attack mount refused "$(mount -t tmpfs none "$T/mount" 2>error && echo done || echo refused)"
umount "$T/mount" 2>error
python <<'PY'
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, call):
    try:
        result = call()
        got = "refused" if result is not None and result < 0 else "done"
    except OSError:
        got = "refused"
    attack(name, "refused", got)
attempt("become root", lambda: libc.setuid(0))
attempt("new user namespace", lambda: libc.unshare(0x10000000))
attempt("new network", lambda: libc.unshare(0x40000000))
attempt("keep a capability", lambda: libc.prctl(23, 12, 0, 0, 0) - 1)
attempt("trace init", lambda: libc.ptrace(0x4206, 1, 0, 0))
attempt("kernel keys", lambda: libc.syscall(ctypes.c_long(250 if os.uname().machine == "x86_64" else 219), 0, -3, 1))
attempt("bpf", lambda: libc.syscall(ctypes.c_long(321 if os.uname().machine == "x86_64" else 280), 0, None, 0))
attempt("io_uring", lambda: libc.syscall(ctypes.c_long(425), 1, ctypes.create_string_buffer(120)))
attempt("open memory of init", lambda: os.close(os.open("/proc/1/mem", os.O_RDONLY)))
attempt("abstract sockets", lambda: -1 if not [l for l in open("/proc/net/unix") if "@" in l and "claude-bottle" in l] else 0)
PY
