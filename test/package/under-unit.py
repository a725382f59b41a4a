"""Runs a command as a unit of systemd would have it run, as far as that goes without systemd: its mounts, its user, no capabilities, its
system calls and address families. As root, and with what is in libseccomp2.

    under-unit.py UNIT BASE UID [BIND=PLACE]... -- COMMAND...

BASE: a directory of which `state` is all that may be written. BIND=PLACE: what is to be seen at PLACE, before homes and /tmp are empty.
What of the unit this does not do: PrivateUsers, KeyringMode, ProtectClock, ProtectHostname, RestrictRealtime, RestrictSUIDSGID, RemoveIPC.
"""
import ctypes
import os
import re
import resource
import subprocess
import sys

CLONE_NEWNS = 0x20000
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
ALLOW, EPERM = 0x7FFF0000, 0x00050000 | 1
EQUAL = 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


seccomp.seccomp_rule_add_array.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Compare)]
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]


def settings(unit):
    with open(unit, encoding="utf8") as file:
        return [line.rstrip("\n").split("=", 1) for line in file if re.match(r"[A-Z]\w+=", line)]


def run(*command):
    subprocess.run(command, check=True)


def members(name):
    """The system calls of a set of systemd's, such as @system-service."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True).stdout
    words = [line.strip() for line in shown.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*[members(word) for word in words])


def system_calls(unit):
    allowed = set(members("@default"))
    for name, value in unit:
        if name != "SystemCallFilter":
            continue
        these = set().union(*[members(word) for word in value.lstrip("~").split()])
        allowed = allowed - (these - members("@default")) if value.startswith("~") else allowed | these
    return allowed


def mounts(base, binds):
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")
    for bind in binds:
        source, place = bind.split("=")
        run("mount", "--rbind", source, place)
    state = os.path.join(base, "state")
    run("mount", "--bind", state, state)
    for hidden in ("/tmp", "/var/tmp", "/root", "/home"):
        run("mount", "-t", "tmpfs", "none", hidden)
    run("mount", "-t", "proc", "-o", "hidepid=invisible", "none", "/proc")
    # ProtectSystem=strict, ProtectKernelTunables: nothing but the state, and what is of this process alone.
    with open("/proc/self/mountinfo", encoding="utf8") as file:
        points = [line.split()[4] for line in file]
    for point in points:
        if point not in (state, "/proc", "/tmp", "/var/tmp") and not point.startswith("/dev"):
            subprocess.run(["mount", "-o", "remount,bind,ro", point], check=False, capture_output=True)
    run("mount", "--bind", "/proc/sys", "/proc/sys")
    run("mount", "-o", "remount,bind,ro", "/proc/sys")
    devices = "/proc/self/fd"
    run("mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", "/media")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        open(f"/media/{name}", "w", encoding="utf8").close()
        run("mount", "--bind", f"/dev/{name}", f"/media/{name}")
    os.symlink(devices, "/media/fd")
    run("mount", "--rbind", "/media", "/dev")


def filters(unit, allowed):
    context = seccomp.seccomp_init(EPERM)
    for name in sorted(allowed - {"unshare", "setns", "socket"}):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            seccomp.seccomp_rule_add_array(context, ALLOW, number, 0, None)
    families = next(value for name, value in unit if name == "RestrictAddressFamilies").split()
    socket = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        only = (Compare * 1)(Compare(0, EQUAL, FAMILIES[family], 0))
        seccomp.seccomp_rule_add_array(context, ALLOW, socket, 1, only)
    if seccomp.seccomp_load(context) != 0:
        raise OSError("seccomp_load")


def main():
    unit, base, uid = settings(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    split = sys.argv.index("--")
    command = sys.argv[split + 1:]
    allowed = system_calls(unit)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(most, int(dict(unit)["LimitNOFILE"]))
    mounts(base, sys.argv[4:split])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)
    os.chdir("/")
    filters(unit, allowed)
    os.execvp(command[0], command)


main()
