{{- define "holdfast.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* What all objects' names begin with: short enough for a site's name, and for the hash of a pod's, behind it. */ -}}
{{- define "holdfast.fullname" -}}
{{- $name := include "holdfast.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "holdfast.selectorLabels" -}}
app.kubernetes.io/name: {{ include "holdfast.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "holdfast.labels" -}}
{{ include "holdfast.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "holdfast.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "holdfast.configMap" -}}
{{ .Values.configMap | default (include "holdfast.fullname" .) }}
{{- end }}

{{- /* Takes root and site. */ -}}
{{- define "holdfast.serviceAccount" -}}
{{- if .root.Values.serviceAccount.create }}
{{- printf "%s-%s" (include "holdfast.fullname" .root) .site }}
{{- else }}
{{- required "serviceAccount.name is missing: which ServiceAccount shall the workers have, if none is created?" .root.Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The claim of a directory. Takes root, name and directory. */ -}}
{{- define "holdfast.claim" -}}
{{ .directory.claim | default (printf "%s-%s" (include "holdfast.fullname" .root) .name) }}
{{- end }}
