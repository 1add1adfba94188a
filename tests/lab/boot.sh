#!/bin/sh
# Makes a root of its own out of the machine's, and becomes its systemd. Runs in fresh namespaces; needs root.
# Arguments: NAME (host and cgroup), KEY (public key that may log in as root).
set -eu
name=$1 key=$2
if [ "${3:-}" = "" ]; then
    mount --make-rprivate /
    mount -t tmpfs -o size=256m,mode=755 tmpfs /mnt
    mkdir /mnt/cgroup /mnt/upper /mnt/work /mnt/root
    mount -t cgroup2 cgroup2 /mnt/cgroup
    mkdir -p "/mnt/cgroup/$name"
    echo 1 >"/mnt/cgroup/$name/cgroup.procs"
    umount /mnt/cgroup
    exec unshare --cgroup sh "$0" "$name" "$key" entered
fi
root=/mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay $root
for hidden in /tmp /run /root /home /mnt /work /var/tmp; do
    [ ! -d $root$hidden ] || mount -t tmpfs -o mode=755,size=64m tmpfs $root$hidden
done
chmod 1777 $root/tmp $root/var/tmp
mount -t proc proc $root/proc
for shared in sys sysrq-trigger; do # the kernel is the machine's: a test host may look, not turn its screws
    [ -e $root/proc/$shared ] || continue
    mount --bind $root/proc/$shared $root/proc/$shared
    mount -o remount,ro,bind $root/proc/$shared
done
mount -t sysfs -o ro sysfs $root/sys
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount -t tmpfs -o mode=755,size=4m tmpfs $root/dev
mkdir $root/dev/pts $root/dev/shm
for device in null zero full random urandom tty; do
    : >$root/dev/$device
    mount --bind /dev/$device $root/dev/$device
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts $root/dev/pts
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
mount -t tmpfs -o mode=1777,size=16m tmpfs $root/dev/shm
etc=$root/etc
echo "$name" >$etc/hostname
hostname "$name"
printf '127.0.0.1 localhost %s\n' "$name" >$etc/hosts
rm -rf $etc/systemd/system/*.wants $etc/ssh/ssh_host_* $etc/ssh/sshd_config.d $etc/machine-id
: >$etc/fstab
tr -d - </proc/sys/kernel/random/uuid >$etc/machine-id
ssh-keygen -q -t ed25519 -N '' -f $etc/ssh/ssh_host_ed25519_key
cp "$key" $etc/ssh/authorized_keys
cat >$etc/ssh/sshd_config <<END
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
StrictModes no
UsePAM no
UseDNS no
Subsystem sftp internal-sftp
END
sed -i 's/^root:[^:]*:/root:*:/' $etc/shadow
sed -i 's|^\(root:.*\):[^:]*$|\1:/bin/sh|' $etc/passwd
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket \
    systemd-udevd-kernel.socket systemd-timesyncd.service networking.service systemd-networkd.service \
    apparmor.service systemd-update-utmp.service systemd-sysctl.service systemd-modules-load.service \
    modprobe@.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount; do
    ln -sf /dev/null $etc/systemd/system/$unit
done
cat >$etc/systemd/system/lab.target <<END
[Unit]
Requires=basic.target ssh.service
After=basic.target ssh.service
AllowIsolate=yes
END
exec chroot $root env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=lab.target --log-target=journal
