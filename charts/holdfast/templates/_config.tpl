{{- /* The configuration as an object, in YAML; {} where it lies in a ConfigMap of the user's. */ -}}
{{- define "holdfast.config" -}}
{{- if .Values.configMap }}
{{- if .Values.config }}{{ fail "config and configMap are both given: which is it?" }}{{ end }}
{}
{{- else }}
{{- $config := .Values.config }}
{{- if kindIs "string" $config }}
{{- $config = fromYaml $config }}
{{- if hasKey $config "Error" }}{{ fail (printf "config is not YAML: %s" $config.Error) }}{{ end }}
{{- end }}
{{- if not $config }}{{ fail "config is empty: write what shall be in holdfast.yaml below config, or --set-file config=holdfast.yaml" }}{{ end }}
{{- range $member := list "installation" "clusters" }}
{{- if not (hasKey $config $member) }}{{ fail (printf "config.%s is missing: config must hold a whole holdfast.yaml" $member) }}{{ end }}
{{- end }}
{{- toYaml $config }}
{{- end }}
{{- end }}

{{- /*
The Secrets that a site's workers read as files: {secrets: [names]}. Takes root and site.
*/ -}}
{{- define "holdfast.mountedSecrets" -}}
{{- $config := include "holdfast.config" .root | fromYaml }}
{{- $names := .root.Values.secrets }}
{{- range $repository := $config.repositories }}
{{- with (dig "s3" "credentials" dict $repository) }}
{{- if .secret }}{{ $names = append $names .secret }}{{ end }}
{{- range $value := . }}
{{- if kindIs "map" $value }}{{ with $value.secret }}{{ $names = append $names . }}{{ end }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $cluster := $config.clusters }}
{{- if eq ($cluster.site | default "main") $.site }}
{{- with (dig "server" "password" "secret" "" $cluster) }}{{ $names = append $names . }}{{ end }}
{{- end }}
{{- end }}
{{- dict "secrets" ($names | uniq | sortAlpha) | toYaml }}
{{- end }}

{{- /*
What a site's workers may do, by namespace: {infra: [rules]}. Takes root and site. Whoever changes what src/kubernetes asks
for changes it here.
*/ -}}
{{- define "holdfast.rights" -}}
{{- $config := include "holdfast.config" .root | fromYaml }}
{{- $wanted := list }}
{{- range $name, $cluster := $config.clusters }}
{{- if eq ($cluster.site | default "main") $.site }}
{{- with $cluster.statefulset }}
{{- $at := printf "config.clusters.%s.statefulset" $name }}
{{- $namespace := required (printf "%s.namespace is missing" $at) .namespace }}
{{- $wanted = concat $wanted (list
  (list $namespace "" "secrets" "get" (required (printf "%s.secret is missing" $at) .secret))
  (list $namespace "apps" "statefulsets" (ternary "get,patch" "get" (hasKey . "inPlace")) (required (printf "%s.name is missing" $at) .name))) }}
{{- /* A recovery in its place scales it to 0, and mounts its claim into a pod of its own. */}}
{{- if hasKey . "inPlace" }}
{{- $wanted = concat $wanted (list
  (list $namespace "batch" "jobs" "create,delete,get,list" "")
  (list $namespace "" "pods" "list" "")
  (list $namespace "" "persistentvolumeclaims" "get" "")
  (list $namespace "" "events" "list" "")) }}
{{- if not (dig "kubernetes" "workerPod" dict $config) }}
{{- $wanted = append $wanted (list $.root.Release.Namespace "" "pods" "get" "") }}
{{- end }}
{{- end }}
{{- end }}
{{- /* A pod beside the database dumps it. */}}
{{- if eq (dig "backup" "on" "worker" $cluster) "pod" }}
{{- $namespace := dig "cnpg" "namespace" (dig "statefulset" "namespace" "" $cluster) $cluster }}
{{- $wanted = concat $wanted (list
  (list $namespace "batch" "jobs" "create,delete,get,list" "")
  (list $namespace "" "pods" "list" "")
  (list $namespace "" "events" "list" "")) }}
{{- if not (dig "kubernetes" "workerPod" dict $config) }}
{{- $wanted = append $wanted (list $.root.Release.Namespace "" "pods" "get" "") }}
{{- end }}
{{- end }}
{{- with $cluster.cnpg }}
{{- $at := printf "config.clusters.%s.cnpg" $name }}
{{- $namespace := required (printf "%s.namespace is missing" $at) .namespace }}
{{- $object := required (printf "%s.name is missing" $at) .name }}
{{- $wanted = append $wanted (list $namespace "postgresql.cnpg.io" "clusters" "get" $object) }}
{{- $policies := list }}
{{- $ways := list }}
{{- $drilled := false }}
{{- range $policy := $config.policies }}
{{- if eq ($policy.cluster | default "") $name }}
{{- $policies = append $policies $policy }}
{{- if eq ($policy.method | default "") "cnpg" }}
{{- $ways = append $ways (dig "cnpg" "method" "" $policy) }}
{{- if $policy.drill }}{{ $drilled = true }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- /* Who only asks CloudNativePG for backups needs no password. */}}
{{- if or .superuserSecret (not $ways) (lt (len $ways) (len $policies)) }}
{{- $secret := .superuserSecret | default (printf "%s-superuser" $object) }}
{{- $wanted = append $wanted (list $namespace "" "secrets" "get" $secret) }}
{{- end }}
{{- if $ways }}
{{- $wanted = append $wanted (list $namespace "postgresql.cnpg.io" "backups" "create,get,list" "") }}
{{- end }}
{{- /* A drill recovers into a Cluster of that name, and no other. */}}
{{- if $drilled }}
{{- $copy := printf "%s-drill" (regexReplaceAll "-+$" (trunc 44 $object) "") }}
{{- $wanted = concat $wanted (list
  (list $namespace "postgresql.cnpg.io" "clusters" "create" "")
  (list $namespace "postgresql.cnpg.io" "clusters" "delete,get" $copy)
  (list $namespace "" "secrets" "get" (.superuserSecret | default (printf "%s-superuser" $copy)))
  (list $namespace "" "secrets" "get" (printf "%s-app" $copy))
  (list $namespace "" "pods" "list" "")
  (list $namespace "" "persistentvolumeclaims" "list" "")
  (list $namespace "" "pods/log" "get" "")
  (list $namespace "" "events" "list" "")) }}
{{- end }}
{{- if or (has "" $ways) (has "plugin" $ways) }}
{{- $wanted = append $wanted (list $namespace "barmancloud.cnpg.io" "objectstores" "get" "") }}
{{- end }}
{{- if has "volumeSnapshot" $ways }}
{{- $wanted = concat $wanted (list
  (list $namespace "postgresql.cnpg.io" "backups" "delete,patch" "")
  (list $namespace "snapshot.storage.k8s.io" "volumesnapshots" "delete,list" "")) }}
{{- end }}
{{- end }}
{{- /* Dumps are drilled in a pod beside the cluster. */}}
{{- $drill := $cluster.drill | default dict }}
{{- $home := dig "cnpg" "namespace" (dig "statefulset" "namespace" "" $cluster) $cluster }}
{{- $drilled := gt (len $drill) 0 }}
{{- range $policy := $config.policies }}
{{- if and (eq ($policy.cluster | default "") $name) $policy.drill (has ($policy.method | default "") (list "pg_dump" "pg_dumpall")) }}
{{- $drilled = true }}
{{- end }}
{{- end }}
{{- if and $home $drilled (ne ($drill.on | default "pod") "worker") }}
{{- $wanted = append $wanted (list ($drill.namespace | default $home) "" "pods" "create,delete,get,list" "") }}
{{- end }}
{{- end }}
{{- end }}
{{- $rules := include "holdfast.rules" $wanted | fromYaml }}
{{- range $namespace, $more := .root.Values.rbac.rules }}
{{- $rules = set $rules $namespace (concat (get $rules $namespace | default list) $more) }}
{{- end }}
{{- toYaml $rules }}
{{- end }}

{{- /*
What `holdfast apply` may do, by namespace: write the window of policies of method cnpg to where CloudNativePG reads it.
Takes the root. Workers can't.
*/ -}}
{{- define "holdfast.applyRights" -}}
{{- $config := include "holdfast.config" . | fromYaml }}
{{- $wanted := list }}
{{- range $policy := $config.policies }}
{{- $way := dig "cnpg" "method" "" $policy }}
{{- if and (eq ($policy.method | default "") "cnpg") $policy.window (ne $way "volumeSnapshot") }}
{{- with (dig ($policy.cluster | default "") "cnpg" "" $config.clusters) }}
{{- $wanted = append $wanted (list .namespace "postgresql.cnpg.io" "clusters" (ternary "get" "get,patch" (eq $way "plugin")) .name) }}
{{- if ne $way "barmanObjectStore" }}
{{- $wanted = append $wanted (list .namespace "barmancloud.cnpg.io" "objectstores" "get,patch" "") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "holdfast.rules" $wanted }}
{{- end }}

{{- /*
Rules, by namespace, out of lists of five: namespace, API group, resource, verbs, and the name of the only object, or nothing.
*/ -}}
{{- define "holdfast.rules" -}}
{{- $rights := dict }}
{{- range . }}
{{- $namespace := index . 0 }}
{{- $key := slice . 1 4 | join " " }}
{{- $there := get $rights $namespace | default dict }}
{{- $names := get $there $key | default list }}
{{- with index . 4 }}{{ $names = append $names . }}{{ end }}
{{- $rights = set $rights $namespace (set $there $key $names) }}
{{- end }}
{{- $rules := dict }}
{{- range $namespace, $byKey := $rights }}
{{- range $key, $names := $byKey }}
{{- $parts := splitList " " $key }}
{{- $rule := dict
  "apiGroups" (list (index $parts 0))
  "resources" (list (index $parts 1))
  "verbs" (splitList "," (index $parts 2)) }}
{{- if $names }}{{ $rule = set $rule "resourceNames" ($names | uniq | sortAlpha) }}{{ end }}
{{- $rules = set $rules $namespace (append (get $rules $namespace | default list) $rule) }}
{{- end }}
{{- end }}
{{- toYaml $rules }}
{{- end }}
