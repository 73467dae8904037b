{{/* Variables, each name once: a later one takes the place of an earlier one. */}}
{{- define "stream-vae.env" -}}
{{- $last := dict -}}
{{- range . -}}{{- $_ := set $last .name . -}}{{- end -}}
{{- $out := list -}}
{{- $seen := dict -}}
{{- range . -}}
{{- if not (hasKey $seen .name) -}}
{{- $out = append $out (get $last .name) -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}
{{- toYaml $out -}}
{{- end -}}

{{- define "stream-vae.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "stream-vae.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end -}}

{{/* What daemon, training and test have in common. */}}
{{- define "stream-vae.podCommon" -}}
serviceAccountName: {{ include "stream-vae.serviceAccount" .root }}
# It talks to Kafka, never to the cluster.
automountServiceAccountToken: false
# Else a service called stream-vae-… would appear as STREAM_VAE_… variables.
enableServiceLinks: false
securityContext:
  {{- include "stream-vae.podSecurity" . | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "stream-vae.imageFields" -}}
image: {{ include "stream-vae.image" . | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{- define "stream-vae.configMounts" -}}
- name: config
  mountPath: /etc/stream-vae/stream-vae.yaml
  subPath: stream-vae.yaml
  readOnly: true
- name: secrets
  mountPath: /etc/stream-vae/secrets
  readOnly: true
{{- end -}}

{{- define "stream-vae.configVolumes" -}}
- name: config
  configMap:
    name: {{ .name }}-config
- name: secrets
  secret:
    secretName: {{ include "stream-vae.secretName" . }}
    defaultMode: 0440
    optional: {{ not .values.existingSecret }}
    {{- with .values.secretItems }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end -}}

{{- define "stream-vae.bundleVolume" -}}
- name: bundle
  {{- with .values.bundle }}
  {{- if eq .source "claim" }}
  persistentVolumeClaim:
    claimName: {{ $.name }}-bundle
    {{- if $.readOnly }}
    readOnly: true
    {{- end }}
  {{- else if eq .source "existingClaim" }}
  persistentVolumeClaim:
    claimName: {{ required "bundle.existingClaim: expected the claim's name, as bundle.source is existingClaim" .existingClaim }}
    {{- if $.readOnly }}
    readOnly: true
    {{- end }}
  {{- else if eq .source "image" }}
  image:
    reference: {{ required "bundle.image.reference: expected the bundle's image, as bundle.source is image" .image.reference | quote }}
    pullPolicy: {{ .image.pullPolicy }}
  {{- else }}
  emptyDir:
    sizeLimit: 1Gi
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "stream-vae.storeUrl" -}}
{{- required "bundle.store.url: expected the bundle's URL, as bundle.source is store" .values.bundle.store.url -}}
{{- end -}}

{{- define "stream-vae.storeSecret" -}}
{{- default (printf "%s-store" .name) .values.bundle.store.existingSecret -}}
{{- end -}}

{{- define "stream-vae.storeEnvFrom" -}}
- secretRef:
    name: {{ include "stream-vae.storeSecret" . }}
    optional: {{ not .values.bundle.store.existingSecret }}
{{- end -}}

{{- define "stream-vae.ownEnv" -}}
{{- if and .values.staticMembership (not .values.autoscaling.enabled) }}
# The pod's name is its identity in the consumer group and in transactions.
- name: STREAM_VAE_KAFKA__INSTANCE_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- if .values.gpu.enabled }}
- name: STREAM_VAE_WORKER__DEVICE
  value: cuda
{{- end }}
{{- if .values.page.enabled }}
- name: STREAM_VAE_PAGE__ENABLED
  value: "true"
- name: STREAM_VAE_PAGE__HOST
  value: 0.0.0.0
- name: STREAM_VAE_PAGE__PORT
  value: {{ .values.page.port | quote }}
{{- end }}
- name: STREAM_VAE_SECRETS_DIR
  value: /etc/stream-vae/secrets
{{- end -}}

{{- define "stream-vae.resources" -}}
{{- $resources := deepCopy .values.resources -}}
{{- if .values.gpu.enabled -}}
{{- $_ := set $resources "limits" (merge (dict .values.gpu.resource (int .values.gpu.count)) (default dict $resources.limits)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* The pod of training, under a Job and a CronJob. */}}
{{- define "stream-vae.trainingPod" -}}
{{- $bundle := .values.bundle -}}
metadata:
  labels:
    {{- include "stream-vae.selector" (dict "root" .root "detector" .key "component" "training") | nindent 4 }}
spec:
  {{- include "stream-vae.podCommon" . | nindent 2 }}
  restartPolicy: Never
  initContainers:
    - name: train
      {{- include "stream-vae.imageFields" .root | nindent 6 }}
      args:
        - train
        - --config
        - /etc/stream-vae/stream-vae.yaml
        - --from-topic
        - {{ dig "input" "topic" "stream-vae.readings" .values.config | quote }}
        - --bundle
        - /scratch/model
        - --name
        - {{ dig "detector" "name" "stream-vae" .values.config | quote }}
        {{- range .values.training.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        {{- $own := list (dict "name" "STREAM_VAE_SECRETS_DIR" "value" "/etc/stream-vae/secrets") }}
        {{- include "stream-vae.env" (concat $own .values.extraEnv) | nindent 8 }}
      {{- with .values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml .values.training.resources | nindent 8 }}
      securityContext:
        {{- include "stream-vae.containerSecurity" . | nindent 8 }}
      volumeMounts:
        {{- include "stream-vae.configMounts" . | nindent 8 }}
        {{- with .values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        - name: work
          mountPath: /scratch
        - name: tmp
          mountPath: /tmp
  containers:
    # Whole or not at all, and only after training went well.
    - name: publish
      {{- include "stream-vae.imageFields" .root | nindent 6 }}
      args: [model, copy, /scratch/model, $(BUNDLE_TARGET), --force]
      env:
        - name: BUNDLE_TARGET
          {{- if eq $bundle.source "store" }}
          value: {{ include "stream-vae.storeUrl" . | quote }}
          {{- else }}
          value: {{ dig "bundle" "path" "/bundle/model" .values.config | quote }}
          {{- end }}
      {{- if eq $bundle.source "store" }}
      envFrom:
        {{- include "stream-vae.storeEnvFrom" . | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml $bundle.store.resources | nindent 8 }}
      securityContext:
        {{- include "stream-vae.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - name: work
          mountPath: /scratch
          readOnly: true
        {{- if ne $bundle.source "store" }}
        - name: bundle
          mountPath: /bundle
        {{- end }}
        - name: tmp
          mountPath: /tmp
  volumes:
    {{- include "stream-vae.configVolumes" . | nindent 4 }}
    - name: work
      emptyDir:
        sizeLimit: 1Gi
    {{- if ne $bundle.source "store" }}
    {{- include "stream-vae.bundleVolume" . | nindent 4 }}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 1Gi
    {{- with .values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
