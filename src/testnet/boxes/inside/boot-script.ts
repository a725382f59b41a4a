/**
 * What happens between the power switch and a box's init, as process 1 of the box's pid namespace: the overlay becomes the
 * root directory, with the kernel's file systems in it, and nothing of the machine around is left to be seen.
 *
 * $1 mount point, $2 read-only directories, $3 flash, $4 file with the boot id, $5 size of /tmp, $6 what to say on the
 * console when the box's own system takes over.
 */
export const BOOT_SCRIPT = `
set -eu
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$1"
cd "$1"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o "nosuid,nodev,mode=1777,size=$5" tmpfs tmp
mount -t tmpfs -o nosuid,mode=755,size=4m tmpfs dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/net
mknod -m 600 dev/net/tun c 10 200
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=600 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --bind "$4" proc/sys/kernel/random/boot_id
pivot_root . mnt
/bin/umount -l /mnt
echo "$6"
exec env -i /sbin/init
`
