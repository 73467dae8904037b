{{- define "stream-vae.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "stream-vae.fullname" -}}
{{- $name := include "stream-vae.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "stream-vae.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "stream-vae.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "stream-vae.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change; of one detector with its name. */}}
{{- define "stream-vae.selector" -}}
app.kubernetes.io/name: {{ include "stream-vae.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .detector }}
stream-vae/detector: {{ . }}
{{- end }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "stream-vae.labels" -}}
{{ include "stream-vae.selector" (dict "root" .root "detector" .detector) }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
The detectors of the release as `{items: […]}`, each with what it needs: `key`, the name under
`detectors`, empty where there are none; `name`, of its objects; `values`, with its own merged in.
*/}}
{{- define "stream-vae.detectors" -}}
{{- $root := . -}}
{{- $full := include "stream-vae.fullname" . -}}
{{- $items := list -}}
{{- $groups := dict -}}
{{- $shared := omit .Values "detectors" -}}
{{- range $key, $own := .Values.detectors -}}
{{- $named := dict "config" (dict "detector" (dict "name" $key) "kafka" (dict "group_id" $key)) -}}
{{- $values := mergeOverwrite (deepCopy $shared) $named (deepCopy (default dict $own)) -}}
{{- $items = append $items (dict "key" $key "name" (printf "%s-%s" $full $key) "values" $values) -}}
{{- else -}}
{{- $items = append $items (dict "key" "" "name" $full "values" (deepCopy $shared)) -}}
{{- end -}}
{{- range $items -}}
{{- $group := dig "kafka" "group_id" "" .values.config -}}
{{- if hasKey $groups $group -}}
{{- fail (printf "detectors.%s: kafka.group_id %s is that of %s too; expected one for each, since they would share partitions and state" .key $group (get $groups $group)) -}}
{{- end -}}
{{- $_ := set $groups $group .key -}}
{{- end -}}
{{- toYaml (dict "items" $items) -}}
{{- end -}}
