#!/usr/bin/env bash
# Runs inside the bed's namespaces and starts what doesn't run yet: etcd, the API server and its companions, containerd,
# the kubelet, kube-proxy, CoreDNS, an S3 server, local-path storage, CloudNativePG, the Barman Cloud plugin.
#
# bed.mjs calls it, with these in the environment: BED (the name), CACHE (the cache directory), TOP (the bed's part of
# it), S3_PROGRAM, S3_ID, S3_SECRET. All else has a fixed place, because nobody else sees these mounts and addresses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/settings.sh"
. "$here/processes.sh"

# --- mounts: programs find the places they are used to, and the host's stay as they are -----------------------------
if [ ! -d /run/bed ]; then
  mount --make-rshared /
  mkdir -p "$STATE"/{kubelet,containerd,var-lib} "$LOG"
  mount -t tmpfs -o mode=0755 bed-run /run
  mkdir -p /run/{cache,tmp,var-lib/{new,work}}
  mount --bind "$CACHE" /run/cache
  mount -t overlay -o lowerdir=/var/lib,upperdir=/run/var-lib/new,workdir=/run/var-lib/work bed-var-lib /var/lib
  mkdir -p /var/lib/{kubelet,containerd,cni}
  mount --bind "$LOG" /var/log
  # The cache may lie below one of those.
  mkdir -p "$CACHE"
  mount --bind /run/cache "$CACHE"
  mount --bind "$STATE/kubelet" /var/lib/kubelet
  mount --bind "$STATE/containerd" /var/lib/containerd
  mkdir /run/bed
fi
export TMPDIR=/run/tmp

# --- network: a bridge without ports carries the node's address, on which everything listens that pods may ask --------
ip link set lo up
ip link show "$BRIDGE" >/dev/null 2>&1 || ip link add "$BRIDGE" type bridge
ip addr replace "$NODE_IP/24" dev "$BRIDGE"
ip link set "$BRIDGE" up
# A process of the node that asks a Service (the API server its webhooks) needs a route, and a source that pods can answer.
ip route replace "$SERVICE_CIDR" dev "$BRIDGE" src "$NODE_IP"
echo 1 >/proc/sys/net/ipv4/ip_forward
for rp_filter in /proc/sys/net/ipv4/conf/{all,"$BRIDGE"}/rp_filter; do echo 0 >"$rp_filter"; done

"$here/certificates.sh"

# --- control plane ---------------------------------------------------------------------------------------------------
# What happens to the data when the machine stops is nobody's concern: without the waits for its disk all is faster.
start etcd "$BIN/etcd" --data-dir "$STATE/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "$ETCD_URL" --advertise-client-urls "$ETCD_URL" \
  --listen-peer-urls http://127.0.0.1:12380 --initial-advertise-peer-urls http://127.0.0.1:12380 \
  --initial-cluster default=http://127.0.0.1:12380
start kube-apiserver "$BIN/kube-apiserver" --etcd-servers "$ETCD_URL" \
  --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port 6443 --service-cluster-ip-range "$SERVICE_CIDR" \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
  --client-ca-file "$PKI/ca.crt" --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
  --kubelet-client-certificate "$PKI/apiserver-kubelet.crt" --kubelet-client-key "$PKI/apiserver-kubelet.key" \
  --kubelet-preferred-address-types InternalIP --service-account-issuer https://kubernetes.default.svc \
  --service-account-signing-key-file "$PKI/sa.key" --service-account-key-file "$PKI/sa.pub" \
  --endpoint-reconciler-type lease --profiling=false
start kube-controller-manager "$BIN/kube-controller-manager" --kubeconfig "$KUBECONFIGS/controller-manager" \
  --use-service-account-credentials --service-account-private-key-file "$PKI/sa.key" --root-ca-file "$PKI/ca.crt" \
  --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" --allocate-node-cidrs=true \
  --cluster-cidr "$POD_CIDR" --service-cluster-ip-range "$SERVICE_CIDR" --leader-elect=false --bind-address 127.0.0.1
start kube-scheduler "$BIN/kube-scheduler" --kubeconfig "$KUBECONFIGS/scheduler" --leader-elect=false --bind-address 127.0.0.1

# --- containers ------------------------------------------------------------------------------------------------------
write "$STATE/containerd.toml" <<END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/holdfast/pause:1"
  # Without CAP_SYS_RESOURCE, as in many a virtual machine, nobody may make a process less likely to be killed.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
END
mkdir -p "$STATE/cni"
# Routed, not bridged: no bridge filter gets between a Service and its pod. No masquerade: pods need no outside world.
write "$STATE/cni/10-bed.conflist" <<END
{"cniVersion": "0.4.0", "name": "bed", "plugins": [{"type": "ptp", "mtu": 1500, "ipMasq": false, "ipam": {
  "type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$NODE_POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
start_containerd() {
  start containerd containerd --config "$STATE/containerd.toml" --log-level warn
  until_it containerd "containerd answers" 30 ctr version
}
if ! runs containerd; then
  rm -rf "$STATE"/containerd/io.containerd.grpc.v1.cri/{sandboxes,containers}
  start_containerd
  # What an earlier cluster left: its images are of use, its containers are not.
  left=$(ctr containers ls --quiet)
  if [ -n "$left" ]; then
    xargs ctr containers rm <<<"$left"
    stop containerd
    start_containerd
  fi
fi
for archive in "$IMAGES"/*.index.json; do
  name=$(basename "$archive" .index.json)
  imported=$STATE/containerd/$name.imported
  cmp -s "$archive" "$imported" && continue
  # One layout holds the layers of all images: each is handed over with the blobs that its index leads to.
  tar --create --directory="$IMAGES" --transform="s/^$name[.]index/index/" \
    oci-layout "$name.index.json" --files-from="$IMAGES/$name.blobs" | ctr images import - >/dev/null
  cp "$archive" "$imported"
done
[ -n "$(ctr images ls --quiet)" ] || fail containerd "no image was imported"

# --- the node --------------------------------------------------------------------------------------------------------
for controller in $(controllers); do mkdir -p "$controller/$BED"; done
echo "nameserver $NODE_IP" | write "$STATE/resolv.conf"
write "$STATE/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
cgroupDriver: cgroupfs
cgroupRoot: /$BED
address: $NODE_IP
healthzBindAddress: 127.0.0.1
tlsCertFile: $PKI/kubelet-serving.crt
tlsPrivateKeyFile: $PKI/kubelet-serving.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [$NODE_IP]
resolvConf: $STATE/resolv.conf
failSwapOn: false
# The default, -999, needs CAP_SYS_RESOURCE.
oomScoreAdj: 0
# kube-proxy speaks nftables.
makeIPTablesUtilChains: false
# An image that was collected can't be pulled again.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
maxOpenFiles: $(ulimit -Hn)
serializeImagePulls: false
END
# kube-proxy ends when this file is written anew, even with the same words.
write "$STATE/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $NODE
clusterCIDR: $POD_CIDR
clientConnection: {kubeconfig: $KUBECONFIGS/kube-proxy}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
END
write "$STATE/Corefile" <<END
.:53 {
  bind $NODE_IP
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $KUBECONFIGS/admin bed
    pods insecure
    ttl 5
  }
  cache 5
}
END
until_it kube-apiserver "the API server is ready" 90 k get --raw /readyz
start kubelet "$BIN/kubelet" --config "$STATE/kubelet.yaml" --kubeconfig "$KUBECONFIGS/kubelet" \
  --root-dir /var/lib/kubelet --cert-dir /var/lib/kubelet/pki --hostname-override "$NODE" --node-ip "$NODE_IP"
start kube-proxy "$BIN/kube-proxy" --config "$STATE/kube-proxy.yaml"
start coredns "$BIN/coredns" -conf "$STATE/Corefile"
mkdir -p "$STATE/s3"
ROOT_ACCESS_KEY_ID=$S3_ID ROOT_SECRET_ACCESS_KEY=$S3_SECRET start versitygw "$S3_PROGRAM" \
  --port "$NODE_IP:$S3_PORT" --region "$S3_REGION" --health /health --keep-alive --quiet posix "$STATE/s3"
until_it kubelet "the node is ready" 90 k wait --for=condition=Ready "node/$NODE" --timeout=1s

# --- what runs in it -------------------------------------------------------------------------------------------------
apply_manifest() { retry "apply $1" 30 k apply --server-side --force-conflicts --filename="$MANIFESTS/$1.yaml"; }
rolled_out() { until_it kubelet "$3" 180 k --namespace="$1" rollout status "deploy/$2" --timeout=2s; }
apply_manifest local-path-storage
apply_manifest cloudnative-pg
# The plugin shows a certificate to the operator and wants one from it.
for side in server client; do
  secret=barman-cloud-$side-tls
  k --namespace=cnpg-system get secret "$secret" >/dev/null 2>&1 || k --namespace=cnpg-system create secret tls "$secret" \
    --cert="$PKI/barman-cloud-$side.crt" --key="$PKI/barman-cloud-$side.key" >/dev/null
done
apply_manifest barman-plugin
rolled_out local-path-storage local-path-provisioner "volumes can be made"
rolled_out cnpg-system cnpg-controller-manager "the CloudNativePG operator runs"
rolled_out cnpg-system barman-cloud "the Barman Cloud plugin runs"
# Only its own word proves that the operator's webhook can be reached.
ask_operator() {
  printf '%s\n' 'apiVersion: postgresql.cnpg.io/v1' 'kind: Cluster' 'metadata: {name: probe, namespace: default}' \
    'spec: {instances: 1, storage: {size: 1Gi}}' | k apply --dry-run=server --filename=-
}
until_it kubelet "the CloudNativePG operator answers" 120 ask_operator
for name in $PROCESSES; do runs "$name" || fail "$name" "$name ended"; done
