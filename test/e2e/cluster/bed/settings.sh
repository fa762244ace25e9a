# What the scripts of the bed agree on. Source it.
BIN=$TOP/bin IMAGES=$TOP/images MANIFESTS=$TOP/manifests STATE=$TOP/state LOG=$TOP/log
PKI=$STATE/pki KUBECONFIGS=$STATE/kubeconfig
BRIDGE=bed0 NODE=bed-node NODE_IP=10.250.0.1
SERVICE_CIDR=10.96.0.0/16 API_SERVICE_IP=10.96.0.1
POD_CIDR=10.244.0.0/16 NODE_POD_CIDR=10.244.0.0/24
ETCD_URL=http://127.0.0.1:12379
S3_PORT=7070 S3_REGION=us-east-1
PROCESSES='etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns versitygw'
export CONTAINERD_NAMESPACE=k8s.io

k() { "$BIN/kubectl" --kubeconfig="$KUBECONFIGS/admin" "$@"; }

# The directories in which control groups are made: one for each controller, or one for all of them (version 2).
controllers() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else
    awk '$3 == "cgroup" && index($2, "/sys/fs/cgroup/") == 1 { print $2 }' /proc/mounts
  fi
}
