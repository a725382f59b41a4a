/** Where OpenWrt has the links to busybox's applets; those that are not here are in /usr/bin. */
const FOLDERS: Readonly<Record<string, string>> = {
  bin: `ash busybox cat chgrp chmod chown cp date dd df dmesg echo egrep false fgrep fsync grep gunzip gzip kill ln login
    ls mkdir mknod mktemp mount mv netstat nice pidof ping ping6 ps pwd rm rmdir sed sh sleep sync tar touch true umount
    uname vi zcat`,
  sbin: `halt hwclock ifconfig ip mkswap pivot_root poweroff reboot route start-stop-daemon swapoff swapon switch_root
    sysctl udhcpc`,
  'usr/sbin': 'brctl chroot crond dhcprelay ntpd',
}

/** The folder of an applet, by its name. */
export const APPLET_FOLDERS: Readonly<Record<string, string | undefined>> = Object.fromEntries(
  Object.entries(FOLDERS).flatMap(([folder, applets]) => applets.split(/\s+/).map((applet) => [applet, folder])),
)
