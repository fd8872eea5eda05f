{{- define "thumbnails.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 52 characters: a StatefulSet adds a hash to the names of its pods' labels, which have 63. */}}
{{- define "thumbnails.fullname" -}}
{{- $name := include "thumbnails.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- $full = .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) }}
{{- fail (printf "A Service cannot be named %s: its name has small letters, digits and hyphens, and begins with a letter. Set fullnameOverride to such a name." $full) }}
{{- end }}
{{- $full }}
{{- end }}

{{- define "thumbnails.selector" -}}
app.kubernetes.io/name: {{ include "thumbnails.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "thumbnails.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "thumbnails.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "thumbnails.image" -}}
{{- with .Values.image }}
{{- if contains "OWNER" .repository }}
{{- fail "image.repository: no image is published yet. Build one with `make build-docker`, push it to a registry that your cluster reaches, and set image.repository to its name." }}
{{- end }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Helm reads each number as a float, and would write a million as 1e+06. */}}
{{- define "thumbnails.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* What containers get from the ConfigMap: the values, on top of what an Ingress implies. */}}
{{- define "thumbnails.config" -}}
{{- $config := dict }}
{{- with .Values.ingress }}
{{- if .enabled }}
{{- $_ := set $config "THUMBNAIL_TRUSTED_PROXIES" (include "thumbnails.text" .proxies) }}
{{- if .tlsSecret }}{{ $_ := set $config "THUMBNAIL_COOKIE_SECURE" "1" }}{{ end }}
{{- if ne .path "/" }}{{ $_ := set $config "THUMBNAIL_TRUSTED_PREFIX" "1" }}{{ end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{- if has $name (list "THUMBNAIL_ACCESS_TOKEN" "THUMBNAIL_METRICS_TOKEN" "THUMBNAIL_SECRET_KEY") }}
{{- fail (printf "config.%s: those who may read a ConfigMap would see it. Set it in `secret`." $name) }}
{{- else if eq $name "THUMBNAIL_INSTANCE" }}
{{- fail "config.THUMBNAIL_INSTANCE: the chart sets it to /data, where the volume is." }}
{{- end }}
{{- $_ := set $config $name (include "thumbnails.text" $value) }}
{{- end }}
{{- with get $config "THUMBNAIL_ALLOWED_HOSTS" }}
{{- $service := include "thumbnails.fullname" $ }}
{{- /* So that Prometheus, helm test and programs in the cluster reach it by the service's name. */}}
{{- $_ := set $config "THUMBNAIL_ALLOWED_HOSTS" (printf "%s %s %s.%s.svc" . $service $service $.Release.Namespace) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* The secrets that there are: their names in the environment, which are also the keys of the Secret. */}}
{{- define "thumbnails.secrets" -}}
{{- $secrets := dict }}
{{- with .Values.secret }}
{{- if .existingSecret }}
{{- range .existingKeys }}{{ $_ := set $secrets . "" }}{{ end }}
{{- else }}
{{- with .accessToken }}{{ $_ := set $secrets "THUMBNAIL_ACCESS_TOKEN" . }}{{ end }}
{{- with .metricsToken }}{{ $_ := set $secrets "THUMBNAIL_METRICS_TOKEN" . }}{{ end }}
{{- with .secretKey }}{{ $_ := set $secrets "THUMBNAIL_SECRET_KEY" . }}{{ end }}
{{- end }}
{{- end }}
{{- toJson $secrets }}
{{- end }}

{{- define "thumbnails.secretName" -}}
{{- .Values.secret.existingSecret | default (include "thumbnails.fullname" .) }}
{{- end }}

{{- define "thumbnails.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end }}

{{- define "thumbnails.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
# The profiles of containerd and CRI-O allow landlock_* and seccomp, which the sandbox of decoders needs.
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "thumbnails.place" -}}
- name: THUMBNAIL_INSTANCE
  value: /data
{{- end }}

{{/*
All that is written. Uploads and drafts are on the volume, beside what they become. /tmp is for tools that
operators run. Signs of life are in /dev/shm, which the runtime mounts in every pod.
*/}}
{{- define "thumbnails.mounts" -}}
- name: data
  mountPath: /data
- name: tmp
  mountPath: /tmp
{{- end }}

{{/* Bytes of a quantity of memory: 3500M, 4Gi, 2e9. */}}
{{- define "thumbnails.bytes" -}}
{{- $text := include "thumbnails.text" . }}
{{- $number := regexFind "^[0-9.]+" $text | float64 }}
{{- $unit := regexFind "[A-Za-z]+$" $text }}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- mulf $number (get $units $unit) | int64 }}
{{- end }}

{{- define "thumbnails.workerResources" -}}
{{- $config := include "thumbnails.config" . | fromYaml }}
{{- with dig "limits" "memory" "" (.Values.worker.resources | default dict) }}
{{- $workers := get $config "THUMBNAIL_WORKERS" | int64 }}
{{- $megabytes := get $config "THUMBNAIL_DECODE_MEMORY_MB" | default "1500" | int64 }}
{{- $needed := add 500 (mul $workers $megabytes) }}
{{- if lt (include "thumbnails.bytes" . | int64) (mul $needed 1000000) }}
{{- fail (printf "worker.resources.limits.memory: %s is too little for %d workers of at most %d MB and 500 MB for the rest. Set it to %dM at least, or set config.THUMBNAIL_WORKERS or config.THUMBNAIL_DECODE_MEMORY_MB to less." (include "thumbnails.text" .) $workers $megabytes $needed) }}
{{- end }}
{{- end }}
{{- toYaml .Values.worker.resources }}
{{- end }}
