{{- /* Where Temporal is, as environment variables. */ -}}
{{- define "holdfast.temporalEnv" -}}
{{- with .Values.temporal }}
- name: TEMPORAL_ADDRESS
  value: {{ required "temporal.address is missing: host:port of Temporal's frontend" .address | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .namespace | quote }}
{{- with .apiKey }}
{{- if .secret }}
- name: TEMPORAL_API_KEY
  valueFrom:
    secretKeyRef: { name: {{ .secret | quote }}, key: {{ .key | quote }} }
{{- end }}
{{- end }}
{{- with .tls }}
{{- if .enabled }}
- name: TEMPORAL_TLS
  value: 'true'
{{- if .serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ .serverName | quote }}
{{- end }}
{{- if .serverCa }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /etc/temporal-tls/ca.crt
{{- end }}
{{- if .clientCertificate }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /etc/temporal-tls/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /etc/temporal-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Mounts of every pod. */ -}}
{{- define "holdfast.commonMounts" -}}
- name: config
  mountPath: /etc/holdfast
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if include "holdfast.temporalSecret" . }}
- name: temporal-tls
  mountPath: /etc/temporal-tls
  readOnly: true
{{- end }}
{{- if include "holdfast.otherUser" . }}
- name: passwd
  mountPath: /etc/passwd
  subPath: passwd
  readOnly: true
{{- end }}
{{- end }}

{{- define "holdfast.commonVolumes" -}}
- name: config
  configMap:
    name: {{ include "holdfast.configMap" . | quote }}
- name: tmp
  emptyDir: { sizeLimit: 256Mi }
{{- with include "holdfast.temporalSecret" . }}
- name: temporal-tls
  secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
{{- end }}
{{- if include "holdfast.otherUser" . }}
- name: passwd
  configMap:
    name: {{ include "holdfast.fullname" . }}-passwd
{{- end }}
{{- end }}

{{- define "holdfast.temporalSecret" -}}
{{- with .Values.temporal.tls }}
{{- if and .enabled (or .serverCa .clientCertificate) }}
{{- required "temporal.tls.secret is missing: which Secret holds ca.crt, tls.crt and tls.key?" .secret }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The user's number where the image doesn't know it: initdb and postgres want a name for whoever runs them. */ -}}
{{- define "holdfast.otherUser" -}}
{{- with .Values.podSecurityContext.runAsUser }}
{{- if ne (int64 .) 10001 }}{{ int64 . }}{{ end }}
{{- end }}
{{- end }}

{{- /* The image's own directory is for the image's own user, as is its home. */ -}}
{{- define "holdfast.workingDir" -}}
{{- if include "holdfast.otherUser" . }}
workingDir: /tmp
{{- end }}
{{- end }}

{{- define "holdfast.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}
