# Files that make a forge run something: without the operator's yes no push changes one.
need git
clone
branch control && mkdir -p docs && date >docs/ci.yml && keep && deliver elsewhere
n=0
for path in .github/workflows/ci.yml .GitHub/Workflows/ci.yml .github/actions/x/action.yml .gitlab-ci.yml sub/.gitlab-ci.yml \
	.gitea/workflows/x.yml .forgejo/workflows/x.yml .circleci/config.yml .woodpecker.yml .drone.yml Jenkinsfile \
	azure-pipelines.yml bitbucket-pipelines.yml .travis.yml .buildkite/pipeline.yml; do
	n=$((n + 1))
	branch ci && mkdir -p "$(dirname "$path")" && printf 'on: push\n' >"$path" && keep
	attack "$path" "refused ci-path" "$(pushed 'ci-path' origin "HEAD:refs/heads/attack/$CASE/$n")"
done
