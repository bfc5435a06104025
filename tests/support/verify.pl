# Verifies a journal, that its snapshot follows from it and, where a head is given, that the journal has it; from the
# words of state/README.md alone.
use strict; use warnings;
use Digest::SHA qw(sha256_hex);
use JSON::PP;
my ($journal, $state, $expected) = @ARGV;
my $json = JSON::PP->new->canonical->allow_nonref;
sub slurp { local $/; open my $f, '<:raw', $_[0] or die "$_[0]: $!\n"; <$f> }
sub same { my ($a, $b) = @_; $json->encode([$a]) eq $json->encode([$b]) }
# What somebody else changed: the values before of the fields that differ now and are not ours.
sub unconfirmed {
    my ($intent, $before, $data, $ours) = @_;
    return {} unless defined $intent->{deadline_s};
    my ($was, $beside, $earlier) = @$before{qw(data unreturned unconfirmed)};
    my %known = (%$was, %$beside, %$earlier);
    my %found;
    for my $f (grep { !exists $ours->{$_} } keys %known) {
        my ($is_shown, $value) = (exists $data->{$f}, $known{$f});
        $value = $was->{$f} if !exists $earlier->{$f} && exists $beside->{$f} && exists $was->{$f};
        my $is_same = $is_shown ? same($data->{$f}, $value) : !exists $earlier->{$f};
        $found{$f} = $known{$f} unless $is_same;
    }
    return \%found;
}
sub text { for (@_) { return $_ if defined $_ && !ref $_ } '' }
my $text = slurp($state);
my $snapshot = decode_json($text);
$text =~ s/^  "digest": "([0-9a-f]{64})",\n//m;
die "the state's digest does not match its bytes\n" if sha256_hex($text) ne ($1 // '');
my ($log, $head, $at, $serial, $lineage, %resource, %open, %heads) = (slurp($journal), undef, 0, 0);
my %project = (id => undef, base_url => undef);
my %found;
while ($log =~ /\G(\{"hash":"([0-9a-f]{64})","record":(.*)\})\n/gc) {
    my ($line, $hash, $raw) = ($1, $2, $3);
    my $r = decode_json($raw);
    $head = sha256_hex('statform/1' . "\n" . ($lineage = $r->{lineage})) unless defined $head;
    $head = sha256_hex("$head\n$raw");
    die "byte $at: not bound to the line before\n" if $head ne $hash;
    $at += length($line) + 1;
    $heads{$head} = 1;
    my ($kind, $a, $data) = @$r{qw(kind address data)};
    my $verdict = $r->{verdict} // '';
    my $intent = defined $a ? $open{$a} : undef;
    delete $open{$a} if $kind =~ /^(result|deleted|rejected|resolved)$/;
    if ($kind eq 'intent') { $open{$a} = $r }
    elsif ($kind eq 'begin') { for (['id', 'project'], ['base_url', 'base_url']) { $project{$_->[0]} = $r->{$_->[1]} if $r->{$_->[1]} } }
    elsif ($kind eq 'deleted' || ($verdict eq 'applied' && !defined $data)) { delete $resource{$a} }
    elsif ($kind eq 'result' || $verdict eq 'applied') {
        my $before = $resource{$a};
        my (%kept, $changed);
        if ($before) {
            $changed = unconfirmed($intent, $before, $data, $intent->{sent});
            my ($was, $beside) = @$before{qw(data unreturned)};
            my %known = (%$was, %$beside);
            my ($sent, $old) = @$intent{qw(sent before)};
            my $is_full = $intent->{method} eq 'POST';
            my %stays = map { $_ => 1 } grep { $is_full && exists $old->{$_} && same($old->{$_}, $sent->{$_}) } keys %$sent;
            for my $f (grep { !exists $sent->{$_} || $stays{$_} } keys %known) {
                my $is_as_before = exists $beside->{$f} && exists $was->{$f} && same($was->{$f}, $data->{$f});
                $kept{$f} = $known{$f} if !exists $data->{$f} || $is_as_before;
            }
        }
        my $name = text($data->{name}, $intent->{sent}{name}, $intent->{name});
        $resource{$a} = {name => $name, data => $data, unreturned => {%kept, %{$r->{unreturned}}},
            unconfirmed => $changed // {}, updated_at => $r->{at}};
    }
    elsif ($kind eq 'import' || ($verdict eq 'superseded' && defined $data)) {
        my $name = text($data->{name}, $kind eq 'import' ? $a =~ s/^[^.]*\.//r : $intent->{name});
        my $changed = {};
        if ($verdict) {
            my $before = $resource{$a} // {data => $intent->{before}, unreturned => {}, unconfirmed => {}};
            my %ours = map { $_ => 1 } grep { exists $data->{$_} && same($data->{$_}, $intent->{sent}{$_}) } keys %{$intent->{sent}};
            $changed = unconfirmed($intent, $before, $data, \%ours);
        }
        $resource{$a} = {name => $name, data => $data, unreturned => {}, unconfirmed => $changed, updated_at => $r->{at}};
    }
    elsif ($kind eq 'refresh') {
        my $before = delete $resource{$a};
        $resource{$a} = {name => text($data->{name}, $before->{name}), data => $data, unreturned => $r->{unreturned},
            unconfirmed => {}, updated_at => $r->{at}} if defined $data;
    }
    elsif ($kind eq 'move') { $resource{$r->{to}} = delete $resource{$a} }
    elsif ($kind eq 'forget') { delete $resource{$a} }
    elsif ($kind eq 'end') { $serial++ }
    # The records that come after, of a run at work or one that died, are verified too.
    %found = (journal_bytes => $at, head => $head, serial => $serial, lineage => $lineage, project => {%project},
        resources => $json->decode($json->encode(\%resource)), unresolved => {%open}) if $at == $snapshot->{journal_bytes};
}
my $rest = substr $log, $at;
die "byte $at: neither a line nor cut short\n" if $rest =~ /\n./s || ($rest =~ /\n/ && $rest !~ /\0/);
if ($snapshot->{format} == 1) {
    delete $found{project};
    delete $_->{unconfirmed} for values %{$found{resources}};
}
for my $key (sort keys %found) {
    die "the state's $key does not follow\n" unless same($found{$key}, $snapshot->{$key} // {});
}
die "the state was not made from this journal\n" unless %found;
die "no line has the hash $expected\n" if defined $expected && !$heads{$expected};
print "$head\n";
