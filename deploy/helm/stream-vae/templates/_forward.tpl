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
{{- $group := dig "kafka" "group_id" "stream-vae" $config -}}
{{- $named := dig "detector" "name" "stream-vae" $config -}}
{{- range $receiver, $own := .values.forward.receivers -}}
{{- $topic := dig "output" "alerts_topic" "stream-vae.alerts" $config -}}
{{- $place := list (dig "kafka" "bootstrap_servers" "" $config) $topic $named $receiver | join " " -}}
{{- if hasKey $told $place -}}
{{- fail (printf "detectors.%s: detector.name %s is that of %s too, on the same alerts topic; expected one for each, since the receiver %s would be told each event twice" $detector.key $named (get $told $place) $receiver) -}}
{{- end -}}
{{- $_ := set $told $place $detector.key -}}
{{- $settings := merge (dict) (default dict $own.config) (dict "name" $receiver "detectors" (list $named)) -}}
{{- $hasOwn := not (empty $own.existingSecret) -}}
{{- /* The detector's Secret may tell the URL of another receiver. */ -}}
{{- if and (eq $settings.to "pagerduty") (not $hasOwn) (not (hasKey $settings "url")) -}}
{{- $_ := set $settings "url" "https://events.pagerduty.com/v2/enqueue" -}}
{{- end -}}
{{- $mounted := dict "existingSecret" (default $detector.values.existingSecret $own.existingSecret) "secretItems" (ternary $own.secretItems $detector.values.secretItems $hasOwn) -}}
{{- $needed := ternary "" "forward__url" (hasKey $settings "url") -}}
{{- if eq $settings.to "pagerduty" -}}{{- $needed = "forward__secret" -}}{{- end -}}
{{- if and $needed (not (include "stream-vae.mayHave" (dict "key" $needed "items" $mounted.secretItems "values" $detector.values))) -}}
{{- fail (printf "forward.receivers.%s: secretItems has no path %s; expected one, as %s cannot do without" $receiver $needed $settings.to) -}}
{{- end -}}
{{- if and $own.saslUsername (not $hasOwn) -}}
{{- fail (printf "forward.receivers.%s: saslUsername without existingSecret; expected the Secret that has this user's kafka__sasl_password" $receiver) -}}
{{- end -}}
{{- if and $own.saslUsername (not (include "stream-vae.mayHave" (dict "key" "kafka__sasl_password" "items" $mounted.secretItems "values" $detector.values))) -}}
{{- fail (printf "forward.receivers.%s: secretItems has no path kafka__sasl_password; expected one, of the user %s" $receiver $own.saslUsername) -}}
{{- end -}}
{{- $item := dict "name" (printf "%s-forward-%s" $detector.name $receiver) "receiver" $receiver "settings" $settings -}}
{{- $_ := set $item "group" (default (printf "%s-forward-%s" $group $settings.name) $settings.group_id) -}}
{{- $_ := set $item "mounted" $mounted -}}
{{- $_ := set $item "needed" $needed -}}
{{- $_ := set $item "saslUsername" (default "" $own.saslUsername) -}}
{{- $_ := set $item "port" (include "stream-vae.receiverPort" $settings | int) -}}
{{- $_ := set $item "detector" $detector -}}
{{- $items = append $items $item -}}
{{- end -}}
{{- end -}}
{{- toYaml (dict "items" $items) -}}
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
