{{/*
Forwarders of the release as `{items: […]}`: one for each detector and receiver of its own, told of this
detector's events alone, so that a receiver is told each once, whoever else writes to the alerts topic.
*/}}
{{- define "stream-vae.forwarders" -}}
{{- $items := list -}}
{{- $told := dict -}}
{{- range (include "stream-vae.detectors" . | fromYaml).items -}}
{{- $detector := . -}}
{{- $config := .values.config -}}
{{- $named := dig "detector" "name" "stream-vae" $config -}}
{{- range $receiver, $own := .values.forward.receivers -}}
{{- $topic := dig "output" "alerts_topic" "stream-vae.alerts" $config -}}
{{- $place := list (dig "kafka" "bootstrap_servers" "" $config) $topic $named $receiver | join " " -}}
{{- if hasKey $told $place -}}
{{- fail (printf "detectors.%s: detector.name %s is that of %s too, on the same alerts topic; expected one for each, since the receiver %s would be told each event twice" $detector.key $named (get $told $place) $receiver) -}}
{{- end -}}
{{- $_ := set $told $place $detector.key -}}
{{- $items = append $items (include "stream-vae.forwarder" (dict "detector" $detector "receiver" $receiver "own" $own) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "items" $items) -}}
{{- end -}}

{{/*
One of them, of `detector`, `receiver` and what the values say of that, `own`. Of its settings that alone
is looked at which the cluster and the notes must know: group, port, keys of its Secret.
*/}}
{{- define "stream-vae.forwarder" -}}
{{- $values := .detector.values -}}
{{- $named := dig "detector" "name" "stream-vae" $values.config -}}
{{- $settings := merge (dict) .own.config (dict "name" .receiver "detectors" (list $named)) -}}
{{- $secret := dict "existingSecret" $values.existingSecret "secretItems" $values.secretItems -}}
{{- $needed := ternary (list) (list "forward__url") (hasKey $settings "url") -}}
{{- if eq $settings.to "pagerduty" -}}{{- $needed = list "forward__secret" -}}{{- end -}}
{{- if .own.existingSecret -}}
{{- $secret = dict "existingSecret" .own.existingSecret "secretItems" .own.secretItems -}}
{{- else if .own.saslUsername -}}
{{- fail (printf "forward.receivers.%s: saslUsername without existingSecret; expected the Secret that has this user's kafka__sasl_password" .receiver) -}}
{{- else if and (eq $settings.to "pagerduty") (not (hasKey $settings "url")) -}}
{{- /* The detector's Secret may tell the URL of another receiver. */ -}}
{{- $_ := set $settings "url" "https://events.pagerduty.com/v2/enqueue" -}}
{{- end -}}
{{- if .own.saslUsername -}}{{- $needed = append $needed "kafka__sasl_password" -}}{{- end -}}
{{- range $needed -}}
{{- if not (include "stream-vae.mayHave" (dict "key" . "items" $secret.secretItems "values" $values)) -}}
{{- fail (printf "forward.receivers.%s: secretItems has no path %s; expected one, as it cannot do without" $.receiver .) -}}
{{- end -}}
{{- end -}}
{{- $group := dig "kafka" "group_id" "stream-vae" $values.config -}}
{{- toYaml (dict
  "name" (printf "%s-forward-%s" .detector.name .receiver)
  "host" (list .detector.key .receiver | compact | join "-")
  "receiver" .receiver
  "detector" .detector
  "settings" $settings
  "group" (default (printf "%s-forward-%s" $group $settings.name) $settings.group_id)
  "secret" $secret
  "needed" $needed
  "saslUsername" (default "" .own.saslUsername)
  "port" (include "stream-vae.receiverPort" $settings | int)
) -}}
{{- end -}}

{{/* The Service under which each forwarder has a name, its `host`. */}}
{{- define "stream-vae.forwardersService" -}}
{{ include "stream-vae.fullname" . }}-forwarders
{{- end -}}

{{/* The port that a receiver's URL leads to; that of HTTPS where the URL stands in a Secret. */}}
{{- define "stream-vae.receiverPort" -}}
{{- $url := default "" .url -}}
{{- $authority := regexReplaceAll "^https?://([^/?#]*).*$" $url "${1}" -}}
{{- $port := regexFind ":[0-9]+$" $authority | trimPrefix ":" -}}
{{- default (ternary "80" "443" (hasPrefix "http://" $url)) $port -}}
{{- end -}}

{{/* "yes", unless a setting (page__token) can come from nowhere: its Secret is mounted without it. */}}
{{- define "stream-vae.mayHave" -}}
{{- $found := or (empty .items) (not (empty .values.extraEnvFrom)) -}}
{{- range .items -}}{{- if eq .path $.key -}}{{- $found = true -}}{{- end -}}{{- end -}}
{{- range .values.extraEnv -}}{{- if eq .name (printf "STREAM_VAE_%s" (upper $.key)) -}}{{- $found = true -}}{{- end -}}{{- end -}}
{{- if $found -}}yes{{- end -}}
{{- end -}}

{{- define "stream-vae.secretName" -}}
{{- default (printf "%s-secrets" .name) .values.existingSecret -}}
{{- end -}}
